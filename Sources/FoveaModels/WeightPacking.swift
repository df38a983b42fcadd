internal import FoveaCore

/// Makes copies of a checkpoint's matrices for products of 16-bit integers while a model is loaded.
final class WeightPacking {
  private let stream: ComputeStream
  private var area = CopyArea()

  init(on stream: ComputeStream) { self.stream = stream }

  /// The copy of `matrix`; nil if it is quantised.
  func packed(_ matrix: WeightMatrix, bias: Tensor?) -> PackedWeights? {
    guard matrix.codes == nil else { return nil }
    let linear = LinearWeights(matrix: matrix, bias: bias)
    let byteCount = PackedWeights.size([linear], form: .int16) * MemoryLayout<Float>.stride
    let (storage, byteOffset) = area.room(byteCount: byteCount)
    area.take(upTo: byteOffset + byteCount)
    let packed = stream.run {
      PackedWeights(
        [linear], form: .int16, storage: storage, offset: byteOffset / MemoryLayout<Float>.stride, on: stream)
    }
    // The copy is what is read from now on.
    matrix.tensor.releasePages()
    return packed
  }
}

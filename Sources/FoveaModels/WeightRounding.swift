internal import CFoveaKernels
internal import FoveaCore

extension Tensor {
  /// The matrix `[rows, columns]` rounded to affine codes; groups divide the columns. Inside an operation.
  ///
  /// Scales and biases have the matrix's own type, and codes are chosen for them as they are stored.
  func quantized(_ scheme: QuantizationScheme, on stream: ComputeStream) -> WeightMatrix {
    let (rowCount, columnCount) = (shape[0], shape[1])
    let groupCount = columnCount / scheme.groupSize
    let wordCount = columnCount * scheme.bits / 32
    let words = Tensor(uninitialized: [rowCount, wordCount], elementType: .uint32)
    let scales = Tensor(uninitialized: [rowCount, groupCount], elementType: elementType)
    let biases = Tensor(uninitialized: [rowCount, groupCount], elementType: elementType)
    let kernels = stream.kernelTable
    let element = elementType.kernelElement
    stream.forEachPiece(rowCount, scratchByteCount: columnCount * MemoryLayout<Float>.stride) { row, scratch in
      let values = scratch.assumingMemoryBound(to: Float.self)
      kernels.pointee.convert(
        baseAddress + row * columnCount * elementType.byteCount, element, values, FOVEA_FLOAT32, columnCount)
      let codes = words.baseAddress.assumingMemoryBound(to: UInt32.self) + row * wordCount
      for group in 0..<groupCount {
        let first = group * scheme.groupSize
        let slice = UnsafeBufferPointer(start: values + first, count: scheme.groupSize)
        let fit = AffineFit(slice, bits: scheme.bits) { value in
          // As it will be read back.
          var (number, stored, result) = (value, UInt32(0), Float(0))
          kernels.pointee.convert(&number, FOVEA_FLOAT32, &stored, element, 1)
          kernels.pointee.convert(&stored, element, &result, FOVEA_FLOAT32, 1)
          return result
        }
        var (scale, bias) = (fit.scale, fit.bias)
        let offset = (row * groupCount + group) * elementType.byteCount
        kernels.pointee.convert(&scale, FOVEA_FLOAT32, scales.baseAddress + offset, element, 1)
        kernels.pointee.convert(&bias, FOVEA_FLOAT32, biases.baseAddress + offset, element, 1)
        fit.pack(slice, into: codes + first * scheme.bits / 32)
      }
    }
    return WeightMatrix(
      tensor: words, codes: WeightMatrix.Codes(scheme: scheme, scales: scales, biases: biases))
  }
}

/// The scale and bias of a group.
private struct AffineFit {
  let scale: Float
  let bias: Float
  let bits: Int

  private var highestCode: Float { Float((1 << bits) - 1) }

  /// MLX's choice: the end of the range that is further from zero is met exactly, and so is zero, where the range holds
  /// it.
  init(_ values: UnsafeBufferPointer<Float>, bits: Int, stored: (Float) -> Float) {
    self.bits = bits
    let (lowest, highest) = values.reduce((Float.infinity, -Float.infinity)) { (min($0.0, $1), max($0.1, $1)) }
    let steps = Float((1 << bits) - 1)
    let startsLow = abs(lowest) > abs(highest)
    let width = max((highest - lowest) / steps, 1e-7)
    let signed = startsLow ? width : -width
    let edge = startsLow ? lowest : highest
    let zero = (edge / signed).rounded(.toNearestOrEven)
    scale = stored(zero == 0 ? signed : edge / zero)
    bias = stored(zero == 0 ? 0 : edge)
  }

  /// Writes the nearest codes as a stream of bits, lowest first.
  func pack(_ values: UnsafeBufferPointer<Float>, into words: UnsafeMutablePointer<UInt32>) {
    var (pending, pendingBits, target) = (UInt64(0), 0, words)
    for value in values {
      let exact = scale == 0 ? 0 : (value - bias) / scale
      let code = min(max(exact.rounded(.toNearestOrEven), 0), highestCode)
      pending |= UInt64(code.isNaN ? 0 : code) << UInt64(pendingBits)
      pendingBits += bits
      if pendingBits >= 32 {
        target.pointee = UInt32(truncatingIfNeeded: pending)
        target += 1
        pending >>= 32
        pendingBits -= 32
      }
    }
  }
}

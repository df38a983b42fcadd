internal import CFoveaKernels
internal import FoveaCore

/// How a layer turns the heads of a row by its position. Addresses and numbers only, for the threads to copy.
struct HeadRotation {
  private let kernels: UnsafePointer<fovea_kernels>
  private let dimension: Int
  /// 0 in a layer without positions, which only converts.
  private let pairCount: Int
  /// Where the layer's cosines begin in a row of angles, which holds those of every rotary setting; the sines follow.
  private let angleOffset: Int

  init(_ model: DecoderModel, layer: Int) {
    let rotaryIndex = model.configuration.layers[layer].rotaryIndex
    kernels = model.stream.kernelTable
    dimension = model.configuration.headDimension
    pairCount = rotaryIndex.map { model.rotaries[$0].pairCount } ?? 0
    angleOffset = model.rotaries[..<(rotaryIndex ?? 0)].reduce(0) { $0 + 2 * $1.pairCount }
  }

  /// Turns `headCount` heads of `source`, one behind another, by a row of angles; in `target` they are of `type` and
  /// begin `headByteCount` apart, or one behind another too.
  func turn(
    _ source: UnsafeMutablePointer<Float>, headCount: Int, by angles: UnsafeMutablePointer<Float>,
    into target: UnsafeMutableRawPointer, type: ElementType, headByteCount: Int? = nil
  ) {
    let cosine = angles + angleOffset
    let step = headByteCount ?? dimension * type.byteCount
    for head in 0..<headCount {
      kernels.pointee.rotate(
        source + head * dimension, cosine, cosine + pairCount, pairCount, dimension, target + head * step,
        type.kernelElement)
    }
  }
}

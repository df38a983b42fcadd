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

  private init(scale: Float, bias: Float, bits: Int) {
    self.scale = scale
    self.bias = bias
    self.bits = bits
  }

  /// The fit with the smallest square error of some: MLX's, which meets zero and the end of the range that is further
  /// from it; the whole range; and narrower ranges, which cost outliers and make all steps finer.
  init(_ values: UnsafeBufferPointer<Float>, bits: Int, stored: (Float) -> Float) {
    let steps = Float((1 << bits) - 1)
    let (lowest, highest) = values.reduce((Float.infinity, -Float.infinity)) { (min($0.0, $1), max($0.1, $1)) }
    func fit(_ scale: Float, _ bias: Float) -> AffineFit {
      AffineFit(scale: stored(scale), bias: stored(bias), bits: bits)
    }
    let startsLow = abs(lowest) > abs(highest)
    let width = max((highest - lowest) / steps, 1e-7)
    let signed = startsLow ? width : -width
    let edge = startsLow ? lowest : highest
    let zero = (edge / signed).rounded(.toNearestOrEven)
    var best = zero == 0 ? fit(signed, 0) : fit(edge / zero, edge)
    var smallest = best.squareError(values)
    for share in stride(from: Float(1), to: bits < 4 ? 0.5 : bits < 8 ? 0.8 : 0.99, by: -0.05) {
      let margin = (1 - share) / 2 * (highest - lowest)
      let candidate = fit(max((highest - lowest - 2 * margin) / steps, 1e-7), lowest + margin)
      let error = candidate.squareError(values)
      if error < smallest { (best, smallest) = (candidate, error) }
    }
    self = best
  }

  private func code(_ value: Float) -> Float {
    let exact = scale == 0 ? 0 : (value - bias) / scale
    return min(max(exact.rounded(.toNearestOrEven), 0), highestCode)
  }

  private func squareError(_ values: UnsafeBufferPointer<Float>) -> Float {
    values.reduce(0) { sum, value in
      let error = scale * code(value) + bias - value
      return sum + error * error
    }
  }

  /// Writes the nearest codes as a stream of bits, lowest first.
  func pack(_ values: UnsafeBufferPointer<Float>, into words: UnsafeMutablePointer<UInt32>) {
    var (pending, pendingBits, target) = (UInt64(0), 0, words)
    for value in values {
      let code = code(value)
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

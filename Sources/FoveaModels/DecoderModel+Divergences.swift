internal import CFoveaKernels
package import FoveaCore

/// How far one prediction is from another.
package struct PredictionDivergence: Sendable {
  /// Σ p · (log p − log q) over the vocabulary, in nats: p is the base's probability, q the model's.
  package let divergence: Double
  /// The base's likeliest token, the lowest id among equals.
  package let baseToken: Int
  /// The model's likeliest token.
  package let token: Int
}

extension DecoderModel {
  /// Compares every row of `logits` with that of `base`, both `[n, vocabularySize]` float32.
  ///
  /// A token that the base holds impossible counts nothing; one that only the model does makes the row's divergence
  /// infinite. Error: about 1e-7 of the mean distance of the two log-probabilities.
  package func divergences(base: Tensor, logits: Tensor) -> [PredictionDivergence] {
    precondition(base.shape == logits.shape, "predictions \(base.shape) and \(logits.shape) cannot be compared")
    let (rowCount, width) = (logits.shape[0], logits.shape[1])
    let kernels = stream.kernelTable
    let first = base.baseAddress.assumingMemoryBound(to: Float.self)
    let second = logits.baseAddress.assumingMemoryBound(to: Float.self)
    return [PredictionDivergence](unsafeUninitializedCapacity: rowCount) { buffer, count in
      // Each row is written by one thread only.
      let output = buffer
      withExtendedLifetime((base, logits)) {
        stream.run {
          stream.forEachPiece(rowCount, scratchByteCount: 2 * DivergenceRow.blockByteCount) { row, scratch in
            let work = DivergenceRow(base: first + row * width, logits: second + row * width, count: width)
            let value = PredictionDivergence(
              divergence: work.divergence(kernels, scratch: scratch.assumingMemoryBound(to: Float.self)),
              baseToken: likeliestToken(work.base, count: width), token: likeliestToken(work.logits, count: width))
            output.initializeElement(at: row, to: value)
          }
        }
      }
      count = rowCount
    }
  }

  /// The likeliest token of every row of `logits` `[n, vocabularySize]`, the lowest id among equals.
  package func likeliestTokens(logits: Tensor) -> [Int] {
    let (rowCount, width) = (logits.shape[0], logits.shape[1])
    let base = logits.baseAddress.assumingMemoryBound(to: Float.self)
    return [Int](unsafeUninitializedCapacity: rowCount) { buffer, count in
      // Each row is written by one thread only.
      let output = buffer
      withExtendedLifetime(logits) {
        stream.run {
          stream.forEachPiece(rowCount) { row, _ in
            output.initializeElement(at: row, to: likeliestToken(base + row * width, count: width))
          }
        }
      }
      count = rowCount
    }
  }
}

/// One row of two predictions.
private struct DivergenceRow {
  let base: UnsafePointer<Float>
  let logits: UnsafePointer<Float>
  let count: Int

  /// Logits taken together, so that the probabilities stay in the first-level cache.
  static let block = 1024
  static let blockByteCount = block * MemoryLayout<Float>.stride

  init(base: UnsafeMutablePointer<Float>, logits: UnsafeMutablePointer<Float>, count: Int) {
    self.base = UnsafePointer(base)
    self.logits = UnsafePointer(logits)
    self.count = count
  }

  /// `scratch` has room for two blocks.
  func divergence(_ kernels: UnsafePointer<fovea_kernels>, scratch: UnsafeMutablePointer<Float>) -> Double {
    let baseSum = kernels.pointee.log_sum_exp(base, count)
    // log p − log q = (b − q) − (log Σ exp b − log Σ exp q); what float32 cannot hold of the constant is added at the end.
    let shift = baseSum - kernels.pointee.log_sum_exp(logits, count)
    let roundedShift = Float(shift)
    let (shifted, probabilities) = (scratch, scratch + Self.block)
    var sum = 0.0
    var probabilitySum = 0.0
    for first in stride(from: 0, to: count, by: Self.block) {
      let length = min(Self.block, count - first)
      for index in 0..<length { shifted[index] = base[first + index] - Float(baseSum) }
      kernels.pointee.exponential(shifted, probabilities, length)
      var (terms, weights) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
      for start in stride(from: 0, to: length, by: 16) {
        let lanes = min(16, length - start)
        var (p, distance) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
        if lanes == 16 {
          p = UnsafeRawPointer(probabilities + start).loadUnaligned(as: SIMD16<Float>.self)
          distance =
            UnsafeRawPointer(base + first + start).loadUnaligned(as: SIMD16<Float>.self)
            - UnsafeRawPointer(logits + first + start).loadUnaligned(as: SIMD16<Float>.self) - roundedShift
        } else {
          for lane in 0..<lanes {
            p[lane] = probabilities[start + lane]
            distance[lane] = base[first + start + lane] - logits[first + start + lane] - roundedShift
          }
        }
        terms += (p * distance).replacing(with: 0, where: p .== 0)
        weights += p
      }
      for lane in 0..<16 {
        sum += Double(terms[lane])
        probabilitySum += Double(weights[lane])
      }
    }
    return sum + (Double(roundedShift) - shift) * probabilitySum
  }
}

/// The index of the largest value, the lowest among equals; 0 where all are NaN.
private func likeliestToken(_ logits: UnsafePointer<Float>, count: Int) -> Int {
  var maxima = SIMD16<Float>(repeating: -.infinity)
  let whole = count / 16 * 16
  for start in stride(from: 0, to: whole, by: 16) {
    let values = UnsafeRawPointer(logits + start).loadUnaligned(as: SIMD16<Float>.self)
    maxima.replace(with: values, where: values .> maxima)
  }
  var maximum = maxima.max()
  for index in whole..<count where logits[index] > maximum { maximum = logits[index] }
  return (0..<count).first { logits[$0] == maximum } ?? 0
}

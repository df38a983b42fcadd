internal import FoveaCore
internal import FoveaModels

/// Log-probabilities in 16 bits: log p ≈ maximum − step · code, where the codes of a row span its own range.
///
/// Rows span at most ``range``: what is less likely than e^−32 times the likeliest token is stored as that, which moves no
/// divergence by more than 1e-7. Within it a value is off by half a step, at most 2.5e-4 nats, to either side alike, and
/// the reader normalises the row again: what is left in a divergence is the square of that, about 1e-8. float16 was
/// rejected: at −8 nats it is off by 2e-3.
enum LogitCodes {
  /// The widest range of a row, in nats.
  static let range: Float = 32
  /// The largest code.
  static let limit: Float = 65535

  /// What turns the codes of a row into log-probabilities.
  struct Scale {
    /// The log-probability of the likeliest token.
    var maximum: Float
    var step: Float
  }

  /// Codes of every row of `logits` `[n, vocabularySize]`, and their scales.
  ///
  /// - Parameter losses: of the tokens `targets`, which fix each row's sum of exponentials.
  static func encode(
    _ logits: Tensor, targets: ArraySlice<Int>, losses: [Double], likeliest: [Int], on stream: ComputeStream
  ) -> (codes: [UInt16], scales: [Scale]) {
    let (rowCount, width) = (logits.shape[0], logits.shape[1])
    let base = logits.baseAddress.assumingMemoryBound(to: Float.self)
    var scales = [Scale](repeating: Scale(maximum: 0, step: 0), count: rowCount)
    let codes = [UInt16](unsafeUninitializedCapacity: rowCount * width) { buffer, count in
      scales.withUnsafeMutableBufferPointer { scaleBuffer in
        // Each row is written by one thread only.
        let (output, outputScales) = (buffer, scaleBuffer)
        stream.run {
          stream.forEachPiece(rowCount) { row, _ in
            let values = base + row * width
            let maximum = values[likeliest[row]]
            var minimum = maximum
            for index in 0..<width where values[index] < minimum { minimum = values[index] }
            let step = min(range, maximum - minimum) / limit
            let inverse = step > 0 ? 1 / step : 0
            for index in 0..<width {
              // Adding 2^23 leaves the nearest integer in the low bits. −infinity becomes the largest code.
              let code = min(limit, (maximum - values[index]) * inverse) + 8_388_608
              output.initializeElement(at: row * width + index, to: UInt16(truncatingIfNeeded: code.bitPattern))
            }
            let target = values[targets[targets.startIndex + row]]
            // log Σ exp = loss + target's logit.
            outputScales[row] = Scale(maximum: Float(Double(maximum) - (losses[row] + Double(target))), step: step)
          }
        }
      }
      count = rowCount * width
    }
    withExtendedLifetime(logits) {}
    return (codes, scales)
  }

  /// The log-probabilities `[scales.count, width]` of codes that lie row by row at `codes`.
  static func decode(
    _ codes: UnsafePointer<UInt16>, scales: [Scale], width: Int, on stream: ComputeStream
  ) -> Tensor {
    let result = Tensor(uninitialized: [scales.count, width])
    let output = result.baseAddress.assumingMemoryBound(to: Float.self)
    stream.run {
      stream.forEachPiece(scales.count) { row, _ in
        let scale = scales[row]
        for index in row * width..<(row + 1) * width {
          output[index] = scale.maximum - scale.step * Float(codes[index])
        }
      }
    }
    return result
  }
}

internal import CFoveaKernels
package import FoveaCore

extension DecoderModel {
  /// −log softmax(logits)[target] of every row of `logits` `[targets.count, vocabularySize]`, in nats.
  package func negativeLogLikelihoods(logits: Tensor, targets: ArraySlice<Int>) -> [Double] {
    let rowLength = logits.shape[1]
    let kernels = stream.kernelTable
    let base = logits.baseAddress.assumingMemoryBound(to: Float.self)
    return [Double](unsafeUninitializedCapacity: targets.count) { buffer, count in
      // Each row is written by one thread only.
      let output = buffer
      withExtendedLifetime(logits) {
        stream.run {
          stream.forEachPiece(targets.count) { row, _ in
            let values = base + row * rowLength
            let target = values[targets[targets.startIndex + row]]
            output.initializeElement(at: row, to: kernels.pointee.log_sum_exp(values, rowLength) - Double(target))
          }
        }
      }
      count = targets.count
    }
  }
}

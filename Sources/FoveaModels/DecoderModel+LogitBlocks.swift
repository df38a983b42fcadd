package import FoveaCore

extension DecoderModel {
  /// Rows of logits that are worth computing together and still few enough to lie in a few megabytes: 16 to 128.
  package var logitBlockRowCount: Int {
    let byteCount = 32 << 20
    return max(16, min(128, byteCount / (configuration.vocabularySize * MemoryLayout<Float>.stride)))
  }

  /// Evaluates `tokens` after what `cache` holds, and shows the logits after each token from `firstRow` on, a block of
  /// rows at a time: those of a long text are never held together, and those before `firstRow` never computed.
  ///
  /// - Parameter consume: takes the rows (as indices of `tokens`) and their float32 logits `[rows.count,
  ///   vocabularySize]`, which are valid during the call only. It runs inside the operation, on the calling thread. If it
  ///   throws, `cache` holds tokens that were not asked for yet: trim it.
  /// - Throws: ``ModelError`` as ``evaluate(_:cache:logits:)``, before anything is evaluated; what `consume` throws.
  package func evaluate(
    _ tokens: [Int], cache: KeyValueCache, logitsFrom firstRow: Int,
    consume: (_ rows: Range<Int>, _ logits: Tensor) throws -> Void
  ) throws {
    try check(tokens, cache: cache)
    let blockRowCount = min(logitBlockRowCount, max(0, tokens.count - firstRow))
    let block = Tensor(uninitialized: [blockRowCount, configuration.vocabularySize])
    try stream.run {
      try forEachChunk(of: tokens, cache: cache, from: firstRow) { hiddenStates, first in
        for row in stride(from: 0, to: hiddenStates.count, by: blockRowCount) {
          let rows = row..<min(hiddenStates.count, row + blockRowCount)
          writeLogits(hiddenStates.rows(rows), block, 0)
          try consume(first + rows.lowerBound..<first + rows.upperBound, block.sliced(axis: 0, 0..<rows.count))
        }
      }
    }
  }
}

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
  /// Evaluates whole texts together, each from its beginning and without a cache, and shows the logits after each token
  /// from its first row on: the same bits as those of the texts alone.
  ///
  /// - Parameters:
  ///   - firstRows: for each text the first of its tokens after which logits are wanted.
  ///   - consume: takes the index of a text, and rows and logits as above, in the order of the texts.
  /// - Throws: ``ModelError`` as ``evaluate(_:cache:logits:)``, before anything is evaluated; what `consume` throws.
  package func evaluate(
    _ texts: [[Int]], logitsFrom firstRows: [Int],
    consume: (_ text: Int, _ rows: Range<Int>, _ logits: Tensor) throws -> Void
  ) throws {
    try checkPredictsTokens()
    try check(texts)
    let tails = SequenceTails(lengths: texts.map(\.count), firstRows: firstRows)
    let count = tails.count
    guard count > 0 else { return }
    let block = Tensor(uninitialized: [min(logitBlockRowCount, count), configuration.vocabularySize])
    try stream.run {
      // The output matrix is the largest of a small model, so its rows come from all texts together.
      let hiddenStates = evaluate(texts, tails)
      for first in stride(from: 0, to: count, by: logitBlockRowCount) {
        let places = first..<min(count, first + logitBlockRowCount)
        writeLogits(hiddenStates.rows(places), block, 0)
        for (text, tail) in tails.tails.enumerated() where tail.places.overlaps(places) {
          let shown = tail.places.clamped(to: places)
          let firstRow = firstRows[text] + shown.lowerBound - tail.places.lowerBound
          try consume(
            text, firstRow..<firstRow + shown.count,
            block.sliced(axis: 0, shown.lowerBound - first..<shown.upperBound - first))
        }
      }
    }
  }
}

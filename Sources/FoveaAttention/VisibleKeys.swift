/// Which run of keys each query row may see, from the causal mask, the window and packed sequences.
///
/// An array mask hides further keys inside the run.
package struct VisibleKeys: Sendable {
  private let queryLength: Int
  private let keyLength: Int
  private let isCausal: Bool
  private let window: Int?
  /// Whether the window reaches as far ahead as back.
  private let isWindowSymmetric: Bool
  /// For packed sequences, where the sequence of each position begins and ends.
  private let sequenceBounds: [(begin: Int, end: Int)]?

  /// With `isWindowSymmetric` a query at position p sees the keys j with |p − j| < window, but for what else hides them.
  package init(
    queryLength: Int, keyLength: Int, isCausal: Bool, isWindowSymmetric: Bool = false, options: AttentionOptions
  ) {
    self.queryLength = queryLength
    self.keyLength = keyLength
    self.isCausal = isCausal
    self.isWindowSymmetric = isWindowSymmetric
    window = options.window
    sequenceBounds = options.packedLengths.map { lengths in
      var begin = 0
      return lengths.flatMap { length in
        defer { begin += length }
        return Array(repeating: (begin: begin, end: begin + length), count: length)
      }
    }
  }

  /// Whether every query sees every key.
  var seesAll: Bool { !isCausal && window == nil && sequenceBounds == nil }

  /// The keys that query `query` may see; empty where there are none.
  package func range(forQuery query: Int) -> Range<Int> {
    var begin = 0
    var end = keyLength
    if let bounds = sequenceBounds?[query] {
      begin = bounds.begin
      end = bounds.end
    }
    // With packed sequences queries and keys have the same positions, so one offset serves both cases.
    let position = query + keyLength - queryLength
    if isCausal { end = min(end, position + 1) }
    if let window {
      begin = max(begin, position - window + 1)
      if isWindowSymmetric { end = min(end, position + window) }
    }
    return begin < end ? begin..<end : begin..<begin
  }
}

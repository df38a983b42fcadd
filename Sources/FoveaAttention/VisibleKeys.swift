internal import CFoveaKernels

/// The first keys of a text, which a cache of bounded size keeps apart from the latest ones, and which queries see them.
///
/// They are the engine's first segment and have blocks of keys of their own: the other keys follow from the next whole
/// block on.
package struct VisiblePrefix: Sendable {
  /// The number of keys.
  package var count: Int
  /// The first query that sees them. Those before it see what lies in the other segments only.
  package var firstQuery: Int
  /// How many of the latest keys a query sees beside them, its own included.
  package var recentCount: Int
  /// The first of the keys that `firstQuery` sees; may be negative.
  package var firstKey: Int
  /// How much later the first visible key is from query to query: 0, or 1 where a window of the text's positions moves.
  package var firstKeyStep: Int

  package init(count: Int, firstQuery: Int, recentCount: Int, firstKey: Int = 0, firstKeyStep: Int = 0) {
    self.count = count
    self.firstQuery = firstQuery
    self.recentCount = recentCount
    self.firstKey = firstKey
    self.firstKeyStep = firstKeyStep
  }

  /// The number of blocks that the keys take up.
  var blockCount: Int { (count + Int(FOVEA_KEY_BLOCK) - 1) / Int(FOVEA_KEY_BLOCK) }

  /// The index of the first key behind: a whole number of blocks.
  package var span: Int { blockCount * Int(FOVEA_KEY_BLOCK) }

  /// The keys of the prefix that query `query` sees.
  func range(forQuery query: Int) -> Range<Int> {
    guard query >= firstQuery else { return 0..<0 }
    let begin = max(0, firstKey + (query - firstQuery) * firstKeyStep)
    return begin < count ? begin..<count : count..<count
  }
}

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

  /// Keys apart from the others, of which queries see a run of its own.
  let prefix: VisiblePrefix?

  /// With `isWindowSymmetric` a query at position p sees the keys j with |p − j| < window, but for what else hides them.
  /// `keyLength` counts the whole blocks of a prefix.
  package init(
    queryLength: Int, keyLength: Int, isCausal: Bool, isWindowSymmetric: Bool = false, options: AttentionOptions,
    prefix: VisiblePrefix? = nil
  ) {
    self.queryLength = queryLength
    self.keyLength = keyLength
    self.isCausal = isCausal
    self.isWindowSymmetric = isWindowSymmetric
    window = options.window
    self.prefix = prefix
    sequenceBounds = options.packedLengths.map { lengths in
      var begin = 0
      return lengths.flatMap { length in
        defer { begin += length }
        return Array(repeating: (begin: begin, end: begin + length), count: length)
      }
    }
  }

  /// Whether the queries from `query` on see all keys before `end`, as far as that is known without looking at each of
  /// them.
  func seesAll(before end: Int, fromQuery query: Int) -> Bool {
    guard window == nil, sequenceBounds == nil, prefix == nil else { return false }
    return !isCausal || query + keyLength - queryLength >= end - 1
  }

  /// How many blocks of keys come before the others.
  var prefixBlockCount: Int { prefix?.blockCount ?? 0 }

  /// The index of the first key behind the prefix.
  var prefixSpan: Int { prefix?.span ?? 0 }

  /// The keys that query `query` may see of the block at key `blockStart`; others may be among them, of other blocks.
  func range(forQuery query: Int, inBlockAt blockStart: Int) -> Range<Int> {
    if let prefix, blockStart < prefix.span { return prefix.range(forQuery: query) }
    return range(forQuery: query)
  }

  /// The number of keys that the block at key `blockStart` has.
  func keyCount(ofBlockAt blockStart: Int) -> Int {
    let end = if let prefix, blockStart < prefix.span { prefix.count } else { keyLength }
    return min(Int(FOVEA_KEY_BLOCK), end - blockStart)
  }

  /// The keys that query `query` may see, but for those of a prefix; empty where there are none.
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
    if let prefix {
      begin = max(begin, prefix.span)
      if query >= prefix.firstQuery { begin = max(begin, position - prefix.recentCount + 1) }
    }
    return begin < end ? begin..<end : begin..<begin
  }
}

/// How a batch is cut into runs of whole sequences, each of which one thread takes through all layers.
///
/// What a thread computes stays in its own caches, and the threads wait for each other once a batch instead of six times
/// a layer.
package struct EncoderBlocks {
  /// The sequences of each block, the largest blocks first if the sequences are sorted so.
  package private(set) var sequences: [Range<Int>] = []
  /// The first row of each sequence, and behind the last one the number of all rows.
  package private(set) var firstRows = [0]
  /// The rows of the largest block.
  package private(set) var rowLimit = 0

  /// Rows of a block, if its sequences allow it: weights are fetched seldom, and what lies between two products fits the
  /// second-level cache.
  private static let standardRowCount = 192
  /// The last blocks are smaller, so that the threads end together; smaller ones would not be worth their weights.
  private static let leastRowCount = 48
  /// Longer sequences are shared by all threads.
  private static let longestSequence = 512

  /// Nil where the threads would not get equal shares: few tokens, or long sequences.
  package init?(lengths: [Int], threadCount: Int) {
    let rowCount = lengths.reduce(0, +)
    let longest = lengths.max() ?? 0
    guard rowCount > 0, longest <= Self.longestSequence,
      threadCount == 1 || rowCount >= 2 * threadCount * max(longest, Self.standardRowCount)
    else { return nil }
    var begin = 0
    while begin < lengths.count {
      let left = rowCount - firstRows[begin]
      let wanted = min(Self.standardRowCount, max(Self.leastRowCount, left / (2 * threadCount)))
      var end = begin
      // As near to what is wanted as whole sequences come.
      while end < lengths.count, end == begin || firstRows[end] - firstRows[begin] + lengths[end] / 2 <= wanted {
        firstRows.append(firstRows[end] + lengths[end])
        end += 1
      }
      sequences.append(begin..<end)
      rowLimit = max(rowLimit, firstRows[end] - firstRows[begin])
      begin = end
    }
  }

  /// The rows of a block.
  package func rows(_ block: Int) -> Range<Int> {
    firstRows[sequences[block].lowerBound]..<firstRows[sequences[block].upperBound]
  }
}

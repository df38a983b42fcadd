import FoveaModels
import Testing

@Suite struct EncoderBlocksTests {
  @Test("blocks hold every sequence once, in order, and get smaller at the end", arguments: [1, 2, 5])
  func cuts(threadCount: Int) throws {
    let lengths = (0..<400).map { 256 - $0 * 256 / 400 } + [0, 0]
    let blocks = try #require(EncoderBlocks(lengths: lengths, threadCount: threadCount))
    #expect(blocks.sequences.flatMap { Array($0) } == Array(lengths.indices))
    var next = 0
    for block in blocks.sequences.indices {
      let rows = blocks.rows(block)
      #expect(rows.lowerBound == next)
      #expect(rows.count == blocks.sequences[block].reduce(0) { $0 + lengths[$1] })
      #expect(rows.count <= blocks.rowLimit)
      next = rows.upperBound
    }
    #expect(next == lengths.reduce(0, +))
    #expect(blocks.firstRows.last == next)
    #expect(blocks.rowLimit <= 256)
    #expect(blocks.rows(blocks.sequences.count - 1).count <= 48)
  }

  @Test("what would not keep all threads busy is not cut")
  func refuses() {
    #expect(EncoderBlocks(lengths: [], threadCount: 1) == nil)
    #expect(EncoderBlocks(lengths: [0], threadCount: 1) == nil)
    #expect(EncoderBlocks(lengths: [8], threadCount: 1) != nil)
    #expect(EncoderBlocks(lengths: [8], threadCount: 2) == nil)
    #expect(EncoderBlocks(lengths: [513], threadCount: 1) == nil)
    #expect(EncoderBlocks(lengths: Array(repeating: 512, count: 3), threadCount: 2) == nil)
    #expect(EncoderBlocks(lengths: Array(repeating: 512, count: 4), threadCount: 2) != nil)
  }
}

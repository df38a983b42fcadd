import FoveaModels
import Testing

@Suite struct ColumnCutTests {
  @Test(
    "pieces hold every column once, in order, and none is longer than said", arguments: [1, 2, 3, 7, 16], [1, 15, 16])
  func everyColumnOnce(threadCount: Int, rowCount: Int) {
    for columnCount in Array(0...700) + [1536, 3071, 49152] {
      let cut = ColumnCut(columnCount: columnCount, rowCount: rowCount, threadCount: threadCount)
      var end = 0
      for piece in 0..<cut.count {
        let columns = cut.columns(piece)
        #expect(columns.lowerBound == end && columns.count <= cut.longest)
        end = columns.upperBound
      }
      #expect(end == columnCount)
    }
  }

  @Test("a thread's share of one row's columns begins with half of it and ends with an eighth")
  func taper() {
    let cut = ColumnCut(columnCount: 1024, rowCount: 1, threadCount: 2)
    #expect((0..<cut.count).map { cut.columns($0).count } == [256, 128, 64, 64, 256, 128, 64, 64])
  }

  @Test("the parts of all pieces are the products' columns, each once")
  func parts() {
    let counts = [576, 0, 192, 7, 192, 1]
    for (rowCount, threadCount) in [(1, 1), (1, 2), (1, 5), (40, 2)] {
      let pieces = GroupPieces(columnCounts: counts, rowCount: rowCount, threadCount: threadCount)
      var ends = counts.map { _ in 0 }
      for piece in 0..<pieces.cut.count {
        pieces.forEachPart(of: pieces.cut.columns(piece)) { product, columns in
          #expect(columns.lowerBound == ends[product] && !columns.isEmpty)
          ends[product] = columns.upperBound
        }
      }
      #expect(ends == counts)
    }
  }
}

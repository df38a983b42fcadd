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

  @Test("pieces of a wider alignment begin with its multiples, and their rows are all rows, each once")
  func widerAlignment() {
    for threadCount in [1, 2, 3, 7] {
      for rowCount in [1, 15, 16, 191, 192, 200, 512, 2048] {
        for columnCount in [1, 64, 96, 576, 700, 1536] {
          let cut = ColumnCut(
            columnCount: columnCount, rowCount: rowCount, threadCount: threadCount, alignment: 64)
          var end = 0
          for piece in 0..<cut.count {
            let columns = cut.columns(piece)
            #expect(columns.lowerBound == end && (columns.isEmpty || end.isMultiple(of: 64)))
            #expect(columns.count <= cut.longest)
            end = columns.upperBound
          }
          #expect(end == columnCount)
          let rows = (0..<cut.rowPartCount).map(cut.rows)
          #expect(rows.first?.lowerBound == 0 && rows.last?.upperBound == rowCount)
          #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
          #expect(rows.dropLast().allSatisfy { $0.count >= 96 && $0.count.isMultiple(of: 12) })
        }
      }
    }
    // Nine pieces of columns for two threads.
    #expect(ColumnCut(columnCount: 576, rowCount: 512, threadCount: 2, alignment: 64).rowPartCount == 2)
  }

  @Test("the parts of all pieces are the products' columns, each once", arguments: [16, 64])
  func parts(alignment: Int) {
    let counts = [576, 0, 192, 7, 192, 1]
    for (rowCount, threadCount) in [(1, 1), (1, 2), (1, 5), (40, 2)] {
      let pieces = GroupPieces(
        columnCounts: counts, rowCount: rowCount, threadCount: threadCount, alignment: alignment)
      var ends = counts.map { _ in 0 }
      for piece in 0..<pieces.cut.count {
        pieces.forEachPart(of: pieces.cut.columns(piece)) { product, columns in
          #expect(columns.lowerBound == ends[product] && !columns.isEmpty)
          #expect(columns.lowerBound.isMultiple(of: alignment))
          ends[product] = columns.upperBound
        }
      }
      #expect(ends == counts)
    }
  }
}

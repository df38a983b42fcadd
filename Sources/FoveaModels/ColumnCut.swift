internal import FoveaCore

/// How the columns of the products of one phase, laid end to end, are cut into pieces for the threads.
package struct ColumnCut {
  private let columnCount: Int
  /// How many pieces there are; some may be empty.
  package let count: Int
  /// The columns of the longest piece.
  package let longest: Int
  /// Columns of every piece but the last; nil where pieces taper.
  private let grain: Int?
  private let shareCount: Int

  /// Pieces of one thread's share where they taper.
  private static let tapers = 4
  /// Pieces begin with multiples of so many columns, where the kernels' vectors of columns begin.
  private static let alignment = 16

  /// The pieces of `columnCount` columns, which belong to products of `rowCount` rows that lie end to end.
  ///
  /// Few rows: weights come fastest in long runs, but a thread that others hold up must not keep the rest waiting for a long
  /// piece. So each thread's share is one run, cut into a half, a quarter and two eighths. Many rows: at most 96, so that a
  /// piece's weights stay in the second-level cache while the rows go by, and so many that the threads end together.
  package init(columnCount: Int, rowCount: Int, threadCount: Int) {
    self.columnCount = columnCount
    shareCount = threadCount
    guard rowCount >= 16 else {
      grain = nil
      count = Self.tapers * threadCount
      let share = (columnCount + threadCount - 1) / threadCount
      longest = min(columnCount, (share / 2 / Self.alignment + 3) * Self.alignment)
      return
    }
    var best = (grain: 64, longestShare: Int.max)
    for grain in [64, 96, 32] {
      let pieceCount = (columnCount + grain - 1) / grain
      let longestShare = (pieceCount + threadCount - 1) / threadCount * grain
      if longestShare < best.longestShare { best = (grain, longestShare) }
    }
    grain = best.grain
    count = (columnCount + best.grain - 1) / best.grain
    longest = min(columnCount, best.grain)
  }

  package func columns(_ piece: Int) -> Range<Int> {
    if let grain { return piece * grain..<min(columnCount, (piece + 1) * grain) }
    return taperedStart(piece)..<taperedStart(piece + 1)
  }

  private func taperedStart(_ piece: Int) -> Int {
    let (share, taper) = piece.quotientAndRemainder(dividingBy: Self.tapers)
    let first = aligned(columnCount * share / shareCount)
    guard taper > 0 else { return first }
    let end = aligned(columnCount * (share + 1) / shareCount)
    // What is left of the share halves with each piece but the last.
    return min(end, aligned(end - (end - first) >> taper))
  }

  private func aligned(_ column: Int) -> Int {
    min(columnCount, (column + Self.alignment - 1) / Self.alignment * Self.alignment)
  }
}

/// The pieces of several products of one phase.
package struct GroupPieces {
  package let cut: ColumnCut
  /// Where the columns of each product end, laid end to end.
  private let ends: [Int]

  package init(columnCounts: [Int], rowCount: Int, threadCount: Int) {
    var end = 0
    ends = columnCounts.map { count in
      end += count
      return end
    }
    cut = ColumnCut(columnCount: end, rowCount: rowCount, threadCount: threadCount)
  }

  /// Calls `body` with each product that has some of the columns of a piece, and with those.
  package func forEachPart(of columns: Range<Int>, _ body: (_ product: Int, _ columns: Range<Int>) -> Void) {
    // The first product that ends after the piece's begin.
    var low = 0
    var high = ends.count - 1
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] > columns.lowerBound { high = middle } else { low = middle + 1 }
    }
    while low < ends.count {
      let begin = low == 0 ? 0 : ends[low - 1]
      guard begin < columns.upperBound else { return }
      let part = max(begin, columns.lowerBound)..<min(ends[low], columns.upperBound)
      if !part.isEmpty { body(low, part.lowerBound - begin..<part.upperBound - begin) }
      low += 1
    }
  }
}

extension ComputeStream {
  /// Calls `body` with the columns of every piece that has some, as ``forEachPiece(_:scratchByteCount:order:_:)``.
  func forEachPiece(
    of cut: ColumnCut, scratchByteCount: Int,
    _ body: (_ columns: Range<Int>, _ scratch: UnsafeMutableRawPointer) -> Void
  ) {
    forEachPiece(cut.count, scratchByteCount: scratchByteCount) { piece, scratch in
      let columns = cut.columns(piece)
      if !columns.isEmpty { body(columns, scratch) }
    }
  }
}

internal import FoveaCore

/// How the columns of the products of one phase, laid end to end, are cut into pieces for the threads, and where columns
/// are few and rows many, the rows too.
package struct ColumnCut {
  private let columnCount: Int
  /// How many pieces there are; some may be empty.
  package let count: Int
  /// The columns of the longest piece.
  package let longest: Int
  /// Columns of every piece but the last; nil where pieces taper.
  private let grain: Int?
  private let shareCount: Int
  private let alignment: Int
  private let rowCount: Int
  /// How many parts of the rows each run of columns has pieces for.
  package let rowPartCount: Int

  /// Pieces of one thread's share where they taper.
  private static let tapers = 4
  /// Pieces begin with multiples of so many columns, where the kernels' vectors of columns begin.
  package static let standardAlignment = 16

  /// The pieces of `columnCount` columns, which belong to products of `rowCount` rows that lie end to end.
  ///
  /// Few rows: weights come fastest in long runs, but a thread that others hold up must not keep the rest waiting for a long
  /// piece. So each thread's share is one run, cut into a half, a quarter and two eighths. Many rows: at most 96, so that a
  /// piece's weights stay in the second-level cache while the rows go by, and so many that the threads end together. A
  /// wider `alignment` leaves no choice of lengths: there the rows are cut instead.
  package init(columnCount: Int, rowCount: Int, threadCount: Int, alignment: Int = standardAlignment) {
    self.columnCount = columnCount
    self.rowCount = rowCount
    self.alignment = alignment
    shareCount = threadCount
    guard rowCount >= 16 else {
      rowPartCount = 1
      grain = nil
      count = Self.tapers * threadCount
      let share = (columnCount + threadCount - 1) / threadCount
      longest = min(columnCount, (share / 2 / alignment + 3) * alignment)
      return
    }
    var best = (grain: 64, longestShare: Int.max)
    for grain in [64, 96, 32] where grain.isMultiple(of: alignment) {
      let pieceCount = (columnCount + grain - 1) / grain
      let longestShare = (pieceCount + threadCount - 1) / threadCount * grain
      if longestShare < best.longestShare { best = (grain, longestShare) }
    }
    grain = best.grain
    count = (columnCount + best.grain - 1) / best.grain
    longest = min(columnCount, best.grain)
    rowPartCount =
      alignment == Self.standardAlignment
      ? 1 : Self.rowPartCount(columnPieceCount: count, rowCount: rowCount, threadCount: threadCount)
  }

  /// As few parts of the rows as leave no thread waiting, none of under 96 rows.
  private static func rowPartCount(columnPieceCount: Int, rowCount: Int, threadCount: Int) -> Int {
    var best = (count: 1, longestShare: Double.infinity)
    for count in 1...max(1, min(4, rowCount / 96)) {
      let share = (columnPieceCount * count + threadCount - 1) / threadCount
      // What is gained must be worth reading the weights again.
      let longestShare = Double(share) / Double(count)
      if longestShare < best.longestShare * 0.98 { best = (count, longestShare) }
    }
    return best.count
  }

  /// The rows of one part: whole tiles of the kernels, but for the last.
  package func rows(_ part: Int) -> Range<Int> {
    let length = ((rowCount + rowPartCount - 1) / rowPartCount + 11) / 12 * 12
    return min(rowCount, part * length)..<(part == rowPartCount - 1 ? rowCount : min(rowCount, (part + 1) * length))
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
    min(columnCount, (column + alignment - 1) / alignment * alignment)
  }
}

/// The pieces of several products of one phase.
package struct GroupPieces {
  package let cut: ColumnCut
  private let columnCounts: [Int]
  /// Where the columns of each product end, laid end to end, each from a multiple of the alignment on.
  private let ends: [Int]

  package init(
    columnCounts: [Int], rowCount: Int, threadCount: Int, alignment: Int = ColumnCut.standardAlignment
  ) {
    self.columnCounts = columnCounts
    var end = 0
    ends = columnCounts.map { count in
      end += (count + alignment - 1) / alignment * alignment
      return end
    }
    cut = ColumnCut(columnCount: end, rowCount: rowCount, threadCount: threadCount, alignment: alignment)
  }

  init(_ weights: [LinearWeights], rowCount: Int, threadCount: Int) {
    self.init(
      columnCounts: weights.map(\.outputSize), rowCount: rowCount, threadCount: threadCount,
      alignment: weights.reduce(ColumnCut.standardAlignment) { max($0, $1.kernelWeights.columnAlignment) })
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
      let part = (max(begin, columns.lowerBound) - begin..<min(ends[low], columns.upperBound) - begin)
        .clamped(to: 0..<columnCounts[low])
      if !part.isEmpty { body(low, part) }
      low += 1
    }
  }
}

extension ComputeStream {
  /// Calls `body` with the rows and columns of every piece that has some, as
  /// ``forEachPiece(_:scratchByteCount:order:_:)``.
  func forEachPiece(
    of cut: ColumnCut, scratchByteCount: Int,
    _ body: (_ rows: Range<Int>, _ columns: Range<Int>, _ scratch: UnsafeMutableRawPointer) -> Void
  ) {
    forEachPiece(cut.count * cut.rowPartCount, scratchByteCount: scratchByteCount) { piece, scratch in
      let (part, piece) = piece.quotientAndRemainder(dividingBy: cut.count)
      let (rows, columns) = (cut.rows(part), cut.columns(piece))
      if !rows.isEmpty, !columns.isEmpty { body(rows, columns, scratch) }
    }
  }
}

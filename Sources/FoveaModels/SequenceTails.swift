internal import FoveaCore

/// Sequences that lie one behind another as rows, and the last rows of each: those whose results are asked for.
///
/// Where the tails are gathered, each row has a place among them.
struct SequenceTails {
  struct Tail {
    /// The rows of the whole sequence.
    let rows: Range<Int>
    /// Those of them that are asked for.
    let shown: Range<Int>
    /// Where these lie when the tails are gathered.
    let places: Range<Int>
  }

  /// One of each sequence, in order.
  let tails: [Tail]
  /// The row of each place.
  let rowOfPlace: [Int]
  /// The number of rows that are asked for.
  var count: Int { rowOfPlace.count }
  /// Whether every row is asked for.
  var isWhole: Bool { count == tails.last?.rows.upperBound ?? 0 }

  /// `firstRows` are the first of each sequence's rows that are asked for, counted in the sequence; from its length on
  /// there are none.
  init(lengths: [Int], firstRows: [Int]) {
    var tails: [Tail] = []
    var rowOfPlace: [Int] = []
    var first = 0
    for (length, firstRow) in zip(lengths, firstRows) {
      let rows = first..<first + length
      let shown = first + min(firstRow, length)..<rows.upperBound
      tails.append(Tail(rows: rows, shown: shown, places: rowOfPlace.count..<rowOfPlace.count + shown.count))
      rowOfPlace += shown
      first += length
    }
    self.tails = tails
    self.rowOfPlace = rowOfPlace
  }

  /// Moves the rows that are asked for to the front, in order; what the others hold is lost.
  func gather(_ rows: ActivationRows) -> ActivationRows {
    for tail in tails where !tail.shown.isEmpty && tail.shown != tail.places {
      // Rows only move towards the front; those of one tail may overlap with where they go.
      rows.row(tail.places.lowerBound).copyMemory(
        from: rows.row(tail.shown.lowerBound), byteCount: tail.shown.count * rows.stride * rows.type.byteCount)
    }
    return rows.rows(0..<count)
  }
}

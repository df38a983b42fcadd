/// A number with so many digits after the point, without a locale.
func fixed(_ value: Double, _ digitCount: Int) -> String {
  var scale = 1.0
  for _ in 0..<digitCount { scale *= 10 }
  let rounded = (abs(value) * scale).rounded()
  guard rounded < 1e15 else { return String(value) }
  let digits = String(Int(rounded))
  let padded = String(repeating: "0", count: max(0, digitCount + 1 - digits.count)) + digits
  let sign = value < 0 && rounded > 0 ? "-" : ""
  return sign + padded.dropLast(digitCount) + (digitCount > 0 ? "." + padded.suffix(digitCount) : "")
}

/// A number of bytes in the unit that leaves 1 to 4 digits before the point.
func byteText(_ byteCount: Int) -> String {
  var value = Double(byteCount)
  for unit in ["bytes", "KiB", "MiB", "GiB"] {
    if value < 1024 || unit == "GiB" { return fixed(value, unit == "bytes" ? 0 : 1) + " " + unit }
    value /= 1024
  }
  return "\(byteCount) bytes"
}

extension [Double] {
  /// The middle value, or the mean of the two in the middle. There must be one.
  var median: Double {
    let sorted = sorted()
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}

/// A line of cells, padded to the widths of their columns: on the right for those in `leftAligned`, else on the left.
func rowText(_ cells: [String], widths: [Int], leftAligned: Set<Int> = [], separator: String = " ") -> String {
  let padded = zip(cells, widths).enumerated().map { index, cell in
    let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
    return leftAligned.contains(index) ? cell.0 + padding : padding + cell.0
  }
  return padded.joined(separator: separator) + "\n"
}

/// Lines of names and values, the values below each other.
func tableText(_ rows: [(name: String, value: String)]) -> String {
  let width = (rows.map(\.name.count).max() ?? 0) + 2
  return rows.map { row in
    row.name + String(repeating: " ", count: width - row.name.count) + row.value + "\n"
  }.joined()
}

/// Unicode's normalization forms (https://unicode.org/reports/tr15), which the standard library does not offer whole.
enum NormalizationForm: Sendable {
  case canonicalDecomposition, canonicalComposition, compatibilityDecomposition, compatibilityComposition

  /// The form called NFC, NFD, NFKC or NFKD.
  init(named name: String, _ reader: ComponentReader) throws(TokenizerError) {
    switch name {
    case "NFD": self = .canonicalDecomposition
    case "NFC": self = .canonicalComposition
    case "NFKD": self = .compatibilityDecomposition
    case "NFKC": self = .compatibilityComposition
    default: throw reader.unsupported("the form \(name) is not known")
    }
  }

  /// `text`, which is valid UTF-8, in this form.
  func normalized(_ text: [UInt8]) -> [UInt8] {
    // No ASCII character changes in any form; before U+0300 nothing changes by composition.
    let unchangedLimit: UInt8 = self == .canonicalComposition ? 0xCC : 0x80
    guard text.contains(where: { $0 >= unchangedLimit }) else { return text }

    let data = Decompositions.shared
    let isCompatible = self == .compatibilityDecomposition || self == .compatibilityComposition
    let isComposed = self == .canonicalComposition || self == .compatibilityComposition
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    // A character without a combining class and what combines with it.
    var cluster: [(scalar: UInt32, combiningClass: UInt8)] = []
    func endCluster() {
      data.sortMarks(&cluster)
      if isComposed { data.compose(&cluster) }
      for (value, _) in cluster {
        if let scalar = Unicode.Scalar(value) { result.append(scalar) }
      }
      cluster.removeAll(keepingCapacity: true)
    }
    var index = 0
    while index < text.count {
      // Most of most texts: a character that neither changes nor is followed by one that could combine with it.
      if text[index] < 0x80, index + 1 == text.count || text[index + 1] < 0x80 {
        if !cluster.isEmpty { endCluster() }
        result.append(text[index])
        index += 1
        continue
      }
      data.decompose(text.scalar(at: index).value, isCompatible) { scalar in
        let combiningClass = data.combiningClass(scalar)
        // Hangul and a few others compose with a second character without a class.
        let joins = combiningClass != 0 || isComposed && data.composesWithStarterBefore(scalar)
        if !joins { endCluster() }
        cluster.append((scalar, combiningClass))
      }
      index += [UInt8].characterByteCount(text[index])
    }
    endCluster()
    return result
  }
}

/// What characters are made of, from the table in `DecompositionTable.swift` and the rules for Hangul.
private struct Decompositions: Sendable {
  static let shared = Decompositions()

  private struct Mapping {
    var scalars: [UInt32]
    var isCompatible: Bool
  }

  /// For blocks of 256 characters, which table of `mappings` they have.
  private var blocks = [UInt16](repeating: 0, count: 0x1100)
  /// Tables of 256 indices into `mappings`, 0 for none; the first table is empty.
  private var indices = [UInt16](repeating: 0, count: 256)
  private var mappings = [Mapping(scalars: [], isCompatible: false)]
  /// The composed character of two.
  private var compositions: [UInt64: UInt32] = [:]
  private var secondStarters: Set<UInt32> = []

  private init() {
    var scalar: UInt32 = 0
    for entry in decompositionTable.description.split(separator: " ") {
      guard let kindIndex = entry.firstIndex(where: { "KXC".contains($0) }) else { continue }
      scalar += UInt32(entry[..<kindIndex], radix: 16) ?? 0
      let parts = entry[entry.index(after: kindIndex)...].split(separator: ",").map { UInt32($0, radix: 16) ?? 0 }
      let block = Int(scalar >> 8)
      guard block < blocks.count else { continue }
      if blocks[block] == 0 {
        blocks[block] = UInt16(indices.count / 256)
        indices.append(contentsOf: [UInt16](repeating: 0, count: 256))
      }
      indices[256 * Int(blocks[block]) + Int(scalar & 0xFF)] = UInt16(mappings.count)
      mappings.append(Mapping(scalars: parts, isCompatible: entry[kindIndex] == "K"))
      if entry[kindIndex] == "C", parts.count == 2 {
        compositions[UInt64(parts[0]) << 32 | UInt64(parts[1])] = scalar
        if combiningClass(parts[1]) == 0 { secondStarters.insert(parts[1]) }
      }
    }
  }

  func combiningClass(_ value: UInt32) -> UInt8 {
    guard value >= 0x300, let scalar = Unicode.Scalar(value) else { return 0 }
    return scalar.properties.canonicalCombiningClass.rawValue
  }

  func composesWithStarterBefore(_ scalar: UInt32) -> Bool {
    (0x1161..<0x1176).contains(scalar) || (0x11A8..<0x11C3).contains(scalar)
      || scalar >= 0x300 && secondStarters.contains(scalar)
  }

  func decompose(_ scalar: UInt32, _ isCompatible: Bool, _ body: (UInt32) -> Void) {
    if scalar < 0xA0 { return body(scalar) }
    if (0xAC00..<0xD7A4).contains(scalar) {
      let syllable = scalar - 0xAC00
      body(0x1100 + syllable / 588)
      body(0x1161 + syllable % 588 / 28)
      if syllable % 28 != 0 { body(0x11A7 + syllable % 28) }
      return
    }
    let index = Int(indices[256 * Int(blocks[Int(scalar >> 8)]) + Int(scalar & 0xFF)])
    let mapping = mappings[index]
    if index == 0 || mapping.isCompatible && !isCompatible { return body(scalar) }
    for part in mapping.scalars { decompose(part, isCompatible, body) }
  }

  /// Puts combining marks in the order of their classes, as far as no character without one stands between.
  func sortMarks(_ cluster: inout [(scalar: UInt32, combiningClass: UInt8)]) {
    guard cluster.count > 2 else { return }
    var start = 0
    while start < cluster.count {
      guard cluster[start].combiningClass != 0 else {
        start += 1
        continue
      }
      var end = start
      while end < cluster.count, cluster[end].combiningClass != 0 { end += 1 }
      // Swift's sort is stable, which the standard does not promise: the index settles ties.
      let sorted = cluster[start..<end].enumerated().sorted {
        ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
      }
      for (offset, item) in sorted.enumerated() { cluster[start + offset] = item.element }
      start = end
    }
  }

  /// Joins the characters of a cluster by the canonical composition algorithm.
  func compose(_ cluster: inout [(scalar: UInt32, combiningClass: UInt8)]) {
    guard cluster.count > 1 else { return }
    var result: [(scalar: UInt32, combiningClass: UInt8)] = []
    var starter: Int?
    for item in cluster {
      if let starter {
        let last = result[result.count - 1].combiningClass
        let isBlocked = result.count - 1 > starter && (last >= item.combiningClass || last == 0)
        if !isBlocked, let composed = composition(result[starter].scalar, item.scalar) {
          result[starter].scalar = composed
          continue
        }
      }
      if item.combiningClass == 0 { starter = result.count }
      result.append(item)
    }
    cluster = result
  }

  private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100..<0x1113).contains(first), (0x1161..<0x1176).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
    }
    if (0xAC00..<0xD7A4).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8..<0x11C3).contains(second) {
      return first + second - 0x11A7
    }
    return compositions[UInt64(first) << 32 | UInt64(second)]
  }
}

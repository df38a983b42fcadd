/// One of the rules that change a text before it is split.
enum Normalizer: Sendable {
  case unicode(NormalizationForm)
  case lowercase
  case strip(left: Bool, right: Bool)
  case stripAccents
  case replace(TextPattern, with: [UInt8])
  case prepend([UInt8])
  case bert(BertNormalizer)
  case nmt
  case precompiled(CharacterRules)
  case byteLevel

  func apply(to text: inout [UInt8]) throws(Regex.Failure) {
    switch self {
    case .unicode(let form): text = form.normalized(text)
    case .lowercase: CharacterMapping.lowercase.apply(to: &text)
    case .strip(let left, let right):
      var range = text.indices
      if left { range = text[range].startAfterWhitespace..<range.upperBound }
      if right { range = range.lowerBound..<text[range].endBeforeWhitespace }
      if range != text.indices { text = Array(text[range]) }
    case .stripAccents: CharacterMapping.withoutMarks.apply(to: &text)
    case .replace(let pattern, let content): text = try pattern.replacing(text, with: content)
    case .prepend(let prefix): if !text.isEmpty { text.insert(contentsOf: prefix, at: 0) }
    case .bert(let normalizer): normalizer.apply(to: &text)
    case .nmt: CharacterMapping.nmt.apply(to: &text)
    case .precompiled(let rules): text = rules.normalized(text)
    case .byteLevel:
      var result: [UInt8] = []
      ByteLevelAlphabet.append(text, text.indices, to: &result)
      text = result
    }
  }
}

/// What BERT does to texts: control characters, Chinese characters, accents, case.
struct BertNormalizer: Sendable {
  let cleansText: Bool
  let spacesChineseCharacters: Bool
  let stripsAccents: Bool
  let lowercases: Bool

  func apply(to text: inout [UInt8]) {
    if cleansText { CharacterMapping.bertCleaning.apply(to: &text) }
    if spacesChineseCharacters { CharacterMapping.spacedChinese.apply(to: &text) }
    if stripsAccents {
      text = NormalizationForm.canonicalDecomposition.normalized(text)
      CharacterMapping.withoutBertAccents.apply(to: &text)
    }
    if lowercases { CharacterMapping.lowercase.apply(to: &text) }
  }
}

/// A rule that puts others in the place of single characters.
private struct CharacterMapping: Sendable {
  private let replacement: @Sendable (Unicode.Scalar) -> [Unicode.Scalar]
  /// What becomes of the ASCII characters: found out once, not for every text.
  private let ascii: [[UInt8]]

  private init(_ replacement: @escaping @Sendable (Unicode.Scalar) -> [Unicode.Scalar]) {
    self.replacement = replacement
    ascii = (0..<0x80 as Range<UInt8>).map { byte in
      var bytes: [UInt8] = []
      for scalar in replacement(Unicode.Scalar(byte)) { bytes.append(scalar) }
      return bytes
    }
  }

  static let lowercase = CharacterMapping { $0.properties.lowercaseMapping.unicodeScalars.map(\.self) }
  static let withoutMarks = CharacterMapping { $0.isMark ? [] : [$0] }
  static let nmt = CharacterMapping { $0.nmtMapping }
  static let bertCleaning = CharacterMapping { scalar in
    if scalar.value == 0 || scalar == "\u{FFFD}" || scalar.isBertControl { return [] }
    return [scalar.properties.isWhitespace ? " " : scalar]
  }
  static let spacedChinese = CharacterMapping { $0.isChinese ? [" ", $0, " "] : [$0] }
  static let withoutBertAccents = CharacterMapping {
    $0.properties.generalCategory == .nonspacingMark && $0.isOfUnicode8 ? [] : [$0]
  }

  /// Replaces each character of `text`, which is valid UTF-8.
  func apply(to text: inout [UInt8]) {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte < 0x80 {
        let mapped = ascii[Int(byte)]
        if mapped.count == 1 { result.append(mapped[0]) } else { result.append(contentsOf: mapped) }
        index += 1
      } else {
        for scalar in replacement(text.scalar(at: index)) { result.append(scalar) }
        index += [UInt8].characterByteCount(byte)
      }
    }
    text = result
  }
}

extension Unicode.Scalar {
  fileprivate var isMark: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: true
    default: false
    }
  }

  fileprivate var isBertControl: Bool {
    switch self {
    case "\t", "\n", "\r": false
    default:
      switch properties.generalCategory {
      case .control, .format, .privateUse: isOfUnicode8
      default: false
      }
    }
  }

  /// The reference's blocks of Chinese characters.
  fileprivate var isChinese: Bool {
    switch value {
    case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B81F, 0x2B920...0x2CEAF,
      0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// What the rules of neural machine translation make of a character: nothing, a space, or itself.
  fileprivate var nmtMapping: [Unicode.Scalar] {
    switch value {
    case 0x1...0x8, 0xB, 0xE...0x1F, 0x7F, 0x8F, 0x9F: []
    case 0x9, 0xA, 0xC, 0xD, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: [" "]
    default: [self]
    }
  }
}

internal import FoveaCore

extension PreTokenizer {
  /// GPT-2's pattern, which ByteLevel uses where `use_regex` is true.
  private static let wordPattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// The rules of a `pre_tokenizer`, in order.
  static func parse(_ reader: ComponentReader, depth: Int = 0) throws(TokenizerError) -> [PreTokenizer] {
    let type = try reader.string("type")
    switch type {
    case "Sequence":
      try reader.expectOnly("pretokenizers")
      guard depth < 8 else { throw reader.unsupported("sequences within sequences") }
      var stages: [PreTokenizer] = []
      for component in try reader.components("pretokenizers") { stages += try parse(component, depth: depth + 1) }
      return stages
    case "ByteLevel":
      try reader.expectOnly("add_prefix_space", "trim_offsets", "use_regex")
      _ = try reader.bool("trim_offsets", default: true)
      let pattern = try reader.bool("use_regex", default: true) ? try reader.regex(wordPattern) : nil
      return [
        .byteLevel(
          addsPrefixSpace: try reader.bool("add_prefix_space"), splitsBy: pattern.map { .regex($0) })
      ]
    case "Split":
      try reader.expectOnly("pattern", "behavior", "invert")
      return [
        .split(
          try reader.pattern("pattern"), try SplitBehavior(reader),
          isInverted: try reader.bool("invert", default: false))
      ]
    case "Digits":
      try reader.expectOnly("individual_digits")
      let isIndividual = try reader.bool("individual_digits", default: false)
      return [
        .split(
          .scalars { $0.properties.numericType != nil && $0.isNumber }, isIndividual ? .isolated : .contiguous,
          isInverted: false)
      ]
    case "Metaspace":
      return [try metaspace(reader)]
    case "Whitespace":
      try reader.expectOnly()
      // Rust's words know the two joiners too.
      let word = #"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\p{Alphabetic}\x{200c}\x{200d}"#
      return [.split(.regex(try reader.regex("[\(word)]+|[^\(word)\\s]+")), .removed, isInverted: true)]
    case "WhitespaceSplit":
      try reader.expectOnly()
      return [.split(.scalars { $0.properties.isWhitespace }, .removed, isInverted: false)]
    case "BertPreTokenizer":
      try reader.expectOnly()
      return [
        .split(.scalars { $0.properties.isWhitespace }, .removed, isInverted: false),
        .split(.scalars(\.isPunctuation), .isolated, isInverted: false),
      ]
    case "Punctuation":
      try reader.expectOnly("behavior")
      let behavior = reader.value("behavior") == nil ? SplitBehavior.isolated : try SplitBehavior(reader)
      return [.split(.scalars(\.isPunctuation), behavior, isInverted: false)]
    case "CharDelimiterSplit":
      try reader.expectOnly("delimiter")
      let delimiter = try reader.scalar("delimiter")
      return [.split(.scalars { $0 == delimiter }, .removed, isInverted: false)]
    default:
      throw reader.unsupported("the pre-tokenizer \(String(reflecting: type)) is not known")
    }
  }

  /// Either `prepend_scheme` or, in older files, `add_prefix_space`.
  private static func metaspace(_ reader: ComponentReader) throws(TokenizerError) -> PreTokenizer {
    try reader.expectOnly("replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
    let scheme = try PrependScheme(reader)
    return .metaspace(
      replacement: Array(String(Character(try reader.scalar("replacement"))).utf8), scheme,
      splits: try reader.bool("split", default: true))
  }
}

extension PreTokenizer.PrependScheme {
  /// The scheme of a Metaspace, pre-tokenizer or decoder.
  init(_ reader: ComponentReader) throws(TokenizerError) {
    let addsPrefixSpace = try reader.bool("add_prefix_space", default: true)
    guard let name = try reader.optionalString("prepend_scheme") else {
      self = addsPrefixSpace ? .always : .never
      return
    }
    guard let scheme = Self(rawValue: name) else {
      throw reader.unsupported("prepend_scheme \(String(reflecting: name)) is not known")
    }
    if !addsPrefixSpace, reader.value("add_prefix_space") != nil, scheme != .never {
      throw reader.unsupported("add_prefix_space is false but prepend_scheme is \(name)")
    }
    self = scheme
  }
}

extension Unicode.Scalar {
  /// Whether this is a digit, a letter used as a number, or another number (Nd, Nl, No).
  var isNumber: Bool {
    switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  /// Whether Unicode 8 knew this character, as the reference's tables for BERT are of that version.
  var isOfUnicode8: Bool { properties.age.map { $0.major <= 8 } ?? false }

  /// Punctuation as BERT has it: also the ASCII symbols.
  var isPunctuation: Bool {
    guard isASCII || isOfUnicode8 else { return false }
    return switch properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      true
    case .mathSymbol, .currencySymbol, .modifierSymbol: isASCII
    default: false
    }
  }

  /// A part of a word in Rust's regular expressions (`\w`).
  var isWordCharacter: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: properties.isAlphabetic || properties.isJoinControl
    }
  }
}

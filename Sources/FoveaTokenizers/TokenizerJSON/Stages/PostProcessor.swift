internal import FoveaCore

/// The tokens that are put before and after those of a text.
struct PostProcessor: Sendable {
  var prefix: [Int] = []
  var suffix: [Int] = []

  /// Reads a `post_processor`.
  static func parse(_ reader: ComponentReader, depth: Int = 0) throws(TokenizerError) -> PostProcessor {
    let type = try reader.string("type")
    switch type {
    case "ByteLevel":
      // It moves offsets into the text, of which there are none here.
      return PostProcessor()
    case "BertProcessing", "RobertaProcessing":
      if type == "BertProcessing" {
        try reader.expectOnly("sep", "cls")
      } else {
        try reader.expectOnly("sep", "cls", "trim_offsets", "add_prefix_space")
      }
      return PostProcessor(prefix: [try pairedToken("cls", reader)], suffix: [try pairedToken("sep", reader)])
    case "TemplateProcessing":
      try reader.expectOnly("single", "pair", "special_tokens")
      return try template(reader)
    case "Sequence":
      try reader.expectOnly("processors")
      guard depth < 8 else { throw reader.unsupported("sequences within sequences") }
      var result = PostProcessor()
      for component in try reader.components("processors") {
        let next = try parse(component, depth: depth + 1)
        result = PostProcessor(prefix: next.prefix + result.prefix, suffix: result.suffix + next.suffix)
      }
      return result
    default:
      throw reader.unsupported("the post-processor \(String(reflecting: type)) is not known")
    }
  }

  /// The id in `["[SEP]", 102]`.
  private static func pairedToken(_ key: String, _ reader: ComponentReader) throws(TokenizerError) -> Int {
    let values = try reader.list(key)
    guard values.count == 2, case .string = values[0], let token = values[1].integer,
      (0...Vocabulary.identifierLimit).contains(token)
    else { throw reader.malformed(key, "a token and its id") }
    return token
  }

  private static func template(_ reader: ComponentReader) throws(TokenizerError) -> PostProcessor {
    var tokens: [String: [Int]] = [:]
    if let value = reader.value("special_tokens") {
      let special = try ComponentReader(value, path: reader.path + ".special_tokens", file: reader.file)
      for (name, value) in special.members {
        let entry = try ComponentReader(value, path: special.path + "." + printable(name, limit: 60), file: reader.file)
        tokens[name] = []
        for identifier in try entry.list("ids") {
          guard let token = identifier.integer, (0...Vocabulary.identifierLimit).contains(token) else {
            throw entry.malformed("ids", "a list of token ids")
          }
          tokens[name]?.append(token)
        }
      }
    }
    var result = PostProcessor()
    var hasText = false
    for piece in try reader.components("single") {
      if let value = piece.value("SpecialToken"), piece.members.count == 1 {
        let name = try ComponentReader(value, path: piece.path + ".SpecialToken", file: reader.file).string("id")
        guard let identifiers = tokens[name] else {
          throw reader.malformed("special_tokens", "an entry for \(String(reflecting: name))")
        }
        if hasText { result.suffix += identifiers } else { result.prefix += identifiers }
      } else if let value = piece.value("Sequence"), piece.members.count == 1 {
        let name = try ComponentReader(value, path: piece.path + ".Sequence", file: reader.file).string("id")
        guard name == "A", !hasText else { throw reader.unsupported("a template with other texts than $A once") }
        hasText = true
      } else {
        throw TokenizerError(
          .malformedFile, file: reader.file, "\(piece.path): expected SpecialToken or Sequence")
      }
    }
    guard hasText else { throw reader.unsupported("a template without the text") }
    return result
  }
}

internal import FoveaCore

/// Reads the fields of one component of a `tokenizer.json`, and names file and field where one is not as expected.
struct ComponentReader {
  let members: [String: JSONValue]
  /// Where the component lies, such as `normalizer.normalizers[0]`.
  let path: String
  let file: String

  init(_ value: JSONValue, path: String, file: String) throws(TokenizerError) {
    guard case .object(let members) = value else {
      throw TokenizerError(.malformedFile, file: file, "\(path): expected an object, found \(value.summary)")
    }
    self.members = members
    self.path = path
    self.file = file
  }

  func malformed(_ key: String, _ expected: String) -> TokenizerError {
    let found = members[key].map { "found \($0.summary)" } ?? "it is missing"
    return TokenizerError(.malformedFile, file: file, "\(path).\(key): expected \(expected), \(found)")
  }

  func unsupported(_ message: String) -> TokenizerError {
    TokenizerError(.unsupported, file: file, "\(path): \(message)")
  }

  /// Refuses fields other than `keys`: they might change what the component does.
  func expectOnly(_ keys: String...) throws(TokenizerError) {
    guard let key = members.keys.sorted().first(where: { $0 != "type" && !keys.contains($0) }) else { return }
    throw unsupported("the field \"\(printable(key, limit: 60))\" is not known")
  }

  /// The field, or nil where it is absent or null.
  func value(_ key: String) -> JSONValue? {
    members[key].flatMap { $0 == .null ? nil : $0 }
  }

  func string(_ key: String) throws(TokenizerError) -> String {
    guard case .string(let text)? = value(key) else { throw malformed(key, "a string") }
    return text
  }

  func optionalString(_ key: String) throws(TokenizerError) -> String? {
    value(key) == nil ? nil : try string(key)
  }

  func bool(_ key: String, default: Bool? = nil) throws(TokenizerError) -> Bool {
    guard let value = value(key) else {
      if let `default` { return `default` }
      throw malformed(key, "true or false")
    }
    guard case .bool(let result) = value else { throw malformed(key, "true or false") }
    return result
  }

  func count(_ key: String, default: Int? = nil) throws(TokenizerError) -> Int {
    guard let value = value(key) else {
      if let `default` { return `default` }
      throw malformed(key, "an integer from 0 on")
    }
    guard let result = value.integer, result >= 0, result <= 1 << 31 else {
      throw malformed(key, "an integer from 0 on")
    }
    return result
  }

  func list(_ key: String) throws(TokenizerError) -> [JSONValue] {
    guard case .array(let values)? = value(key) else { throw malformed(key, "a list") }
    return values
  }

  /// The components of a list.
  func components(_ key: String) throws(TokenizerError) -> [ComponentReader] {
    var readers: [ComponentReader] = []
    for (index, value) in try list(key).enumerated() {
      readers.append(try ComponentReader(value, path: "\(path).\(key)[\(index)]", file: file))
    }
    return readers
  }

  /// A single character.
  func scalar(_ key: String) throws(TokenizerError) -> Unicode.Scalar {
    let text = try string(key)
    guard text.unicodeScalars.count == 1, let scalar = text.unicodeScalars.first else {
      throw malformed(key, "one character")
    }
    return scalar
  }

  /// A pattern such as `{"String": " "}` or `{"Regex": "\\d"}`.
  func pattern(_ key: String) throws(TokenizerError) -> TextPattern {
    guard let value = value(key) else { throw malformed(key, "a pattern") }
    let reader = try ComponentReader(value, path: "\(path).\(key)", file: file)
    guard reader.members.count == 1 else { throw malformed(key, "one of String and Regex") }
    if reader.members["String"] != nil {
      let text = try reader.string("String")
      guard !text.isEmpty else { throw reader.unsupported("an empty pattern") }
      return .literal(Array(text.utf8))
    }
    return .regex(try reader.regex(try reader.string("Regex")))
  }

  /// Compiles a regular expression that belongs to this component.
  func regex(_ pattern: String) throws(TokenizerError) -> Regex {
    do throws(Regex.Failure) {
      return try Regex(onigurumaPattern: pattern)
    } catch {
      throw TokenizerError(
        .malformedFile, file: file,
        "\(path): the regular expression \"\(printable(pattern, limit: 80))\" cannot be used: \(error.reason)")
    }
  }
}

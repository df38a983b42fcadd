package import FoveaCore

/// Takes typed settings out of an object of a configuration file; every error names the file and the key.
///
/// A key with `null` is as good as absent, as in transformers.
package struct ConfigurationReader {
  /// The file, for errors.
  package let file: String
  /// What leads to this object from the file's top, such as `rope_scaling.`; empty for the top itself.
  let prefix: String
  private let members: [String: JSONValue]

  /// The largest file read; configurations have a few kB.
  static let byteCountLimit = 1 << 24

  /// Parses the whole file, which must be an object.
  init(parsing bytes: [UInt8], file: String) throws(ModelError) {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw ModelError(.malformedFile, file: file, "\(error.message) (at byte \(error.byteOffset))")
    }
    guard case .object(let members) = value else {
      throw ModelError(.malformedFile, file: file, "must be a JSON object, found \(value.summary)")
    }
    self.init(file: file, prefix: "", members: members)
  }

  private init(file: String, prefix: String, members: [String: JSONValue]) {
    self.file = file
    self.prefix = prefix
    self.members = members
  }

  /// The reader of the file at `path`, or nil if there is none.
  package static func read(_ path: String) throws(ModelError) -> ConfigurationReader? {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: byteCountLimit)
    } catch {
      if error.isMissing { return nil }
      throw ModelError(.missingFile, file: path, error.reason)
    }
    return try ConfigurationReader(parsing: bytes, file: path)
  }

  /// The value of a key, or nil where it is absent or null.
  package subscript(_ key: String) -> JSONValue? {
    guard let value = members[key], value != .null else { return nil }
    return value
  }

  /// Whether the key is there, be it null.
  package func hasKey(_ key: String) -> Bool { members[key] != nil }

  /// Whether there is no key at all.
  var isEmpty: Bool { members.isEmpty }

  /// The first key, in order, whose value is an object.
  var firstKeyOfObject: String? {
    members.keys.sorted().first { if case .object? = members[$0] { true } else { false } }
  }

  /// The keys whose values are objects, in order.
  var keysOfObjects: [String] {
    members.keys.filter { if case .object? = members[$0] { true } else { false } }.sorted()
  }

  // MARK: Typed values

  /// An integer of `range`, which starts at 0 or 1.
  package func integer(_ key: String, in range: ClosedRange<Int>) throws(ModelError) -> Int? {
    guard let value = self[key] else { return nil }
    guard let integer = value.integer else {
      if case .number(let text) = value, !text.contains(where: { ".eE-".contains($0) }) {
        throw invalid(key, "at most \(range.upperBound)", value)
      }
      throw invalid(key, range.lowerBound > 0 ? "a positive integer" : "a non-negative integer", value)
    }
    guard integer >= range.lowerBound else {
      throw invalid(key, range.lowerBound > 0 ? "a positive integer" : "a non-negative integer", value)
    }
    guard integer <= range.upperBound else { throw invalid(key, "at most \(range.upperBound)", value) }
    return integer
  }

  /// An integer from 1 to `limit` that must be there.
  package func requiredSize(_ key: String, limit: Int) throws(ModelError) -> Int {
    guard let value = try integer(key, in: 1...limit) else { throw missing(key, "a positive integer") }
    return value
  }

  /// A finite number for which `isValid`; `expected` says what that means.
  package func number(_ key: String, _ expected: String, where isValid: (Double) -> Bool) throws(ModelError) -> Double?
  {
    guard let value = self[key] else { return nil }
    guard let number = value.double, isValid(number) else { throw invalid(key, expected, value) }
    return number
  }

  package func bool(_ key: String) throws(ModelError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard case .bool(let flag) = value else { throw invalid(key, "true or false", value) }
    return flag
  }

  package func string(_ key: String) throws(ModelError) -> String? {
    guard let value = self[key] else { return nil }
    guard case .string(let text) = value else { throw invalid(key, "a string", value) }
    return text
  }

  package func object(_ key: String) throws(ModelError) -> ConfigurationReader? {
    guard let value = self[key] else { return nil }
    guard case .object(let members) = value else { throw invalid(key, "an object", value) }
    return ConfigurationReader(file: file, prefix: "\(prefix)\(key).", members: members)
  }

  /// A token id or a list of them, each below `vocabularySize`; nil where nothing is said.
  func tokens(_ key: String, vocabularySize: Int) throws(ModelError) -> [Int]? {
    guard let value = self[key] else { return nil }
    let elements = if case .array(let elements) = value { elements } else { [value] }
    var tokens: [Int] = []
    for element in elements {
      guard let token = element.integer, (0..<vocabularySize).contains(token) else {
        throw invalid(key, "a token id below \(vocabularySize), or a list of them", element)
      }
      if !tokens.contains(token) { tokens.append(token) }
      guard tokens.count <= 1024 else { throw invalid(key, "a list of at most 1024 tokens", value) }
    }
    return tokens
  }

  // MARK: Errors

  package func invalid(_ key: String, _ expected: String, _ found: JSONValue) -> ModelError {
    ModelError(.invalidSetting, file: file, "'\(prefix)\(key)' must be \(expected), found \(found.summary)")
  }

  package func missing(_ key: String, _ expected: String) -> ModelError {
    ModelError(.invalidSetting, file: file, "'\(prefix)\(key)' is missing; it must be \(expected)")
  }

  package func unsupported(_ feature: String) -> ModelError {
    ModelError(.unsupportedFeature, file: file, feature)
  }
}

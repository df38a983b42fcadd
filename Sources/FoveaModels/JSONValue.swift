#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Any JSON value: configurations are read through it so that an error can say what was found where.
enum JSONValue: Decodable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  /// What an error message shows of the value.
  var summary: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(let value): value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    case .string(let value): "\"\(value.prefix(60))\""
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// The members of one JSON object in a file, read with checks that name the file and the key.
struct JSONObject: Sendable {
  let file: String
  /// Where the object lies in the file: empty, or a key and a dot.
  let path: String
  let members: [String: JSONValue]

  /// Decodes a whole file.
  init(_ bytes: [UInt8], file: String) throws(ModelError) {
    do {
      members = try JSONDecoder().decode([String: JSONValue].self, from: Data(bytes))
    } catch {
      throw ModelError(kind: .invalidConfiguration, message: "\(file): not a JSON object, or cut short")
    }
    self.file = file
    path = ""
  }

  private init(file: String, path: String, members: [String: JSONValue]) {
    self.file = file
    self.path = path
    self.members = members
  }

  /// The value of a key; nil if it is absent or null.
  subscript(key: String) -> JSONValue? {
    guard let value = members[key] else { return nil }
    if case .null = value { return nil }
    return value
  }

  func invalid(_ key: String, expected: String) -> ModelError {
    let found = members[key].map { "found \($0.summary)" } ?? "it is missing"
    return ModelError(kind: .invalidConfiguration, message: "\(file): '\(path)\(key)' must be \(expected), \(found)")
  }

  func wholeNumber(_ key: String, in range: ClosedRange<Int>) throws(ModelError) -> Int? {
    guard let value = self[key] else { return nil }
    guard case .number(let number) = value, let whole = Int(exactly: number), range.contains(whole) else {
      throw invalid(key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return whole
  }

  func requiredWholeNumber(_ key: String, in range: ClosedRange<Int>) throws(ModelError) -> Int {
    guard let value = try wholeNumber(key, in: range) else {
      throw invalid(key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func number(_ key: String, in range: ClosedRange<Double>) throws(ModelError) -> Double? {
    guard let value = self[key] else { return nil }
    guard case .number(let number) = value, range.contains(number) else {
      throw invalid(key, expected: "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func bool(_ key: String) throws(ModelError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard case .bool(let bool) = value else { throw invalid(key, expected: "true or false") }
    return bool
  }

  func string(_ key: String) throws(ModelError) -> String? {
    guard let value = self[key] else { return nil }
    guard case .string(let string) = value else { throw invalid(key, expected: "a string") }
    return string
  }

  func object(_ key: String) throws(ModelError) -> JSONObject? {
    guard let value = self[key] else { return nil }
    guard case .object(let members) = value else { throw invalid(key, expected: "an object") }
    return JSONObject(file: file, path: "\(path)\(key).", members: members)
  }

  /// A whole number or a list of them; nil if the key is absent or null.
  func wholeNumbers(_ key: String, in range: ClosedRange<Int>) throws(ModelError) -> [Int]? {
    guard let value = self[key] else { return nil }
    let values: [JSONValue] = if case .array(let list) = value { list } else { [value] }
    var numbers: [Int] = []
    for value in values {
      guard case .number(let number) = value, let whole = Int(exactly: number), range.contains(whole) else {
        throw invalid(
          key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound), or a list of them")
      }
      numbers.append(whole)
    }
    return numbers
  }
}

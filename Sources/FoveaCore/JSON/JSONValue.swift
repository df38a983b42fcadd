/// A whole JSON value, for files small enough to hold as a tree.
package enum JSONValue: Sendable, Equatable {
  /// The members by key.
  case object([String: JSONValue])
  case array([JSONValue])
  case string(String)
  /// As it is written, so that no digit is lost before the reader knows which type it wants.
  case number(String)
  case bool(Bool)
  case null

  /// Parses a whole text.
  ///
  /// - Throws: ``JSONError`` where it is not strict JSON, or an object has a key twice.
  package init(parsing bytes: [UInt8]) throws(JSONError) {
    var scanner = JSONScanner(bytes)
    self = try scanner.value()
    try scanner.expectEnd()
  }

  /// The integer, where this is a number without fraction and exponent that fits.
  package var integer: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text)
  }

  /// The float64 nearest to the number; nil for other values and for numbers too large.
  package var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// The value as an error message shows it: on one line, cut to a few words.
  package var summary: String {
    switch self {
    case .object: "an object"
    case .array: "a list"
    case .string(let text): "\"\(printable(text, limit: 60))\""
    case .number(let text): printable(text, limit: 60)
    case .bool(let value): value ? "true" : "false"
    case .null: "null"
    }
  }
}

extension JSONScanner {
  /// Reads a value of any kind; nesting is bounded by ``depthLimit``.
  package mutating func value() throws(JSONError) -> JSONValue {
    switch try nextValueKind() {
    case .object:
      var members: [String: JSONValue] = [:]
      var isFirst = true
      try enterObject()
      while let key = try nextKey(&isFirst) {
        let start = keyOffset
        guard members.updateValue(try value(), forKey: key) == nil else {
          throw JSONError("the key '\(printable(key))' appears twice in the object", byteOffset: start)
        }
      }
      return .object(members)
    case .array:
      var elements: [JSONValue] = []
      var isFirst = true
      try enterArray()
      while try nextElement(&isFirst) { elements.append(try value()) }
      return .array(elements)
    case .string: return .string(try string())
    case .number: return .number(try number())
    case .literal: return try literal().map(JSONValue.bool) ?? .null
    }
  }
}

/// `text` fit for one line of a message: control characters shown as escapes, and no longer than `limit` characters.
package func printable(_ text: String, limit: Int = 200) -> String {
  var result = ""
  for (index, scalar) in text.unicodeScalars.enumerated() {
    guard index < limit else { return result + "…" }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

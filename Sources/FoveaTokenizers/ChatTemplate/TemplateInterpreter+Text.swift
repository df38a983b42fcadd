internal import FoveaCore

extension TemplateInterpreter {
  /// Python's `str()`.
  func text(of value: TemplateValue) throws -> String {
    switch value {
    case .undefined: return ""
    case .string(let text): return text
    default:
      var result = ""
      try appendRepresentation(of: value, to: &result)
      return result
    }
  }

  /// Python's `repr()`.
  private func appendRepresentation(of value: TemplateValue, to result: inout String) throws {
    let before = result.utf8.count
    switch value {
    case .undefined: result += "Undefined"
    case .none: result += "None"
    case .bool(let value): result += value ? "True" : "False"
    case .int(let value): result += String(value)
    case .double(let value): result += Self.text(of: value)
    case .string(let text): result += Self.quoted(text)
    case .list(let elements), .tuple(let elements):
      let isTuple = if case .tuple = value { true } else { false }
      result += isTuple ? "(" : "["
      for (index, element) in elements.enumerated() {
        if index > 0 { result += ", " }
        try appendRepresentation(of: element, to: &result)
      }
      result += isTuple ? (elements.count == 1 ? ",)" : ")") : "]"
    case .dictionary(let dictionary):
      result += "{"
      for (index, member) in dictionary.members.enumerated() {
        if index > 0 { result += ", " }
        try appendRepresentation(of: member.key, to: &result)
        result += ": "
        try appendRepresentation(of: member.value, to: &result)
      }
      result += "}"
    case .function(let function): result += "<function \(function.name)>"
    case .namespace: result += "<Namespace>"
    }
    try take(bytes: result.utf8.count - before)
  }

  /// Python's spelling, which has a point or an exponent, and no more digits than needed.
  static func text(of value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    return value.description
  }

  private static func quoted(_ text: String) -> String {
    let quote = text.utf8.contains(UInt8(ascii: "'")) && !text.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
    var result = quote
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "'" where quote == "'": result += "\\'"
      case "\0"..."\u{1F}", "\u{7F}"..."\u{A0}", "\u{AD}":
        result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + quote
  }

  // MARK: JSON

  /// `json.dumps(value, ensure_ascii=False, indent=…, separators=…, sort_keys=…)`.
  func json(_ value: TemplateValue, _ style: JSONStyle, level: Int = 0) throws -> String {
    try step()
    func joined(_ parts: [String], _ open: String, _ close: String) throws -> String {
      guard !parts.isEmpty else { return open + close }
      let total = parts.reduce(0) { $0 + $1.utf8.count }
      try take(bytes: total)
      try take(bytes: style.itemSeparator.utf8.count * parts.count)
      guard let indent = style.indent else { return open + parts.joined(separator: style.itemSeparator) + close }
      try take(bytes: (level + 1) * indent.utf8.count * parts.count)
      let inner = "\n" + String(repeating: indent, count: level + 1)
      let body: String = parts.joined(separator: style.itemSeparator + inner)
      return open + inner + body + "\n" + String(repeating: indent, count: level) + close
    }
    switch value {
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .int(let value): return String(value)
    case .double(let value):
      if value.isNaN { return "NaN" }
      if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
      return Self.text(of: value)
    case .string(let text):
      try take(bytes: text.utf8.count)
      return Self.jsonText(text, style)
    case .list(let elements), .tuple(let elements):
      guard level < 100 else { throw failure("'tojson' of more than 100 nested values") }
      return try joined(try elements.map { try json($0, style, level: level + 1) }, "[", "]")
    case .dictionary(let dictionary):
      guard level < 100 else { throw failure("'tojson' of more than 100 nested values") }
      var members = dictionary.members
      if style.sortsKeys { try members.sort { try ordered($0.key, $1.key) < 0 } }
      let parts = try members.map { member in
        // Keys that are numbers become texts.
        let key = if case .string(let text) = member.key { text } else { try json(member.key, style) }
        return Self.jsonText(key, style) + style.keySeparator + (try json(member.value, style, level: level + 1))
      }
      return try joined(parts, "{", "}")
    case .undefined, .function, .namespace: throw failure("\(describe(value)) has no JSON form")
    }
  }

  struct JSONStyle {
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    var isASCII = false
  }

  /// As Python writes it: DEL stays, control characters below space do not; others beyond ASCII only where they may.
  private static func jsonText(_ text: String, _ style: JSONStyle) -> String {
    let quoted = jsonQuoted(text)
    guard style.isASCII else { return quoted }
    return quoted.utf16.reduce(into: "") { result, unit in
      if let scalar = Unicode.Scalar(unit), scalar.isASCII {
        result.unicodeScalars.append(scalar)
      } else {
        let digits = String(unit, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
  }

  // MARK: Formats

  /// `format % values` for s, r, d, i, f, x and %%, with width and precision.
  func formatted(_ format: String, _ values: [TemplateValue]) throws -> String {
    var result = ""
    var rest = Substring(format)
    var remaining = values[...]
    while let percent = rest.firstIndex(of: "%") {
      result += rest[..<percent]
      rest = rest[rest.index(after: percent)...]
      let options = rest.prefix { "0123456789.-+ ".contains($0) }
      rest = rest.dropFirst(options.count)
      guard let kind = rest.popFirst() else { throw failure("a format ends in '%'") }
      if kind == "%" {
        result += "%"
        continue
      }
      guard let value = remaining.popFirst() else { throw failure("a format needs more values than it is given") }
      let flags = options.prefix { "-+ 0".contains($0) }
      let numbers = options.dropFirst(flags.count).split(separator: ".", omittingEmptySubsequences: false)
      let width = numbers.first.flatMap { Int($0) } ?? 0
      guard width <= 1000, options.count < 12 else { throw failure("a format is wider than 1000") }
      let precision = numbers.count > 1 ? Int(numbers[1]) ?? 0 : nil
      var (sign, text) = ("", "")
      switch kind {
      case "s": text = try self.text(of: value)
      case "r": try appendRepresentation(of: value, to: &text)
      case "d", "i":
        guard let number = value.number, abs(number) < 9e18 else { throw failure("'%\(kind)' needs a number") }
        text = String(value.integer ?? Int(number))
      case "x":
        guard let number = value.integer else { throw failure("'%x' needs an integer") }
        text = String(number, radix: 16)
      case "f":
        guard let number = value.number, precision ?? 0 <= 30 else {
          throw failure("'%f' needs a number and at most 30 digits after the point")
        }
        text = Self.fixed(number, precision ?? 6)
      default: throw failure("the format '%\(kind)' is not built")
      }
      if kind == "s" || kind == "r" {
        if let precision { text = String(String.UnicodeScalarView(text.unicodeScalars.prefix(precision))) }
      } else {
        guard precision == nil || kind == "f" else { throw failure("'%\(kind)' with a precision is not built") }
        sign = text.hasPrefix("-") ? "-" : flags.contains("+") ? "+" : flags.contains(" ") ? " " : ""
        if text.hasPrefix("-") { text.removeFirst() }
      }
      let count = max(0, width - sign.utf8.count - text.unicodeScalars.count)
      let padding = String(repeating: " ", count: count)
      if flags.contains("-") {
        result += sign + text + padding
      } else if flags.contains("0"), kind != "s", kind != "r" {
        result += sign + String(repeating: "0", count: count) + text
      } else {
        result += padding + sign + text
      }
      try take(bytes: text.utf8.count + padding.utf8.count)
    }
    return result + rest
  }

  /// A number with so many digits after the point.
  static func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return text(of: value) }
    var scale = 1.0
    for _ in 0..<min(digits, 15) { scale *= 10 }
    let scaled = (abs(value) * scale).rounded(.toNearestOrEven)
    guard scaled < 9e18 else { return text(of: value) }
    let number = String(Int(scaled))
    let padded = String(repeating: "0", count: max(0, digits + 1 - number.count)) + number
    return (value < 0 ? "-" : "") + padded.dropLast(digits) + (digits > 0 ? "." + padded.suffix(digits) : "")
  }
}

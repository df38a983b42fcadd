/// A piece of a template: text, or a token of an expression or statement.
struct TemplateToken: Sendable {
  enum Kind: Sendable, Equatable {
    case text(String)
    case openExpression, closeExpression
    case openStatement, closeStatement
    case name(String)
    case string(String)
    case int(Int)
    case double(Double)
    case symbol(String)
    case end
  }

  let kind: Kind
  /// From 1.
  let line: Int
}

/// Cuts a template into tokens as Jinja does with `trim_blocks` and `lstrip_blocks`, the settings of transformers: the
/// line break after a statement goes, and so does the white space before one that starts its line.
struct TemplateLexer {
  private let scalars: [Unicode.Scalar]
  private var offset = 0
  private var line = 1
  private var tokens: [TemplateToken] = []

  /// Far longer than any template.
  static let lengthLimit = 1 << 20
  private static let symbols = ["**", "//", "==", "!=", "<=", ">="]
  private static let singleSymbols = "+-*/%~<>=()[]{}.,:|;"

  static func tokens(of source: String) throws(TemplateError) -> [TemplateToken] {
    guard source.utf8.count <= lengthLimit else {
      throw TemplateError(.malformedTemplate, "has \(source.utf8.count) bytes, expected at most \(lengthLimit)")
    }
    var lexer = TemplateLexer(source)
    try lexer.run()
    return lexer.tokens
  }

  private init(_ source: String) {
    // All line breaks are one scalar, and the last one of the template does not count.
    var scalars: [Unicode.Scalar] = []
    for scalar in source.unicodeScalars {
      if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
      scalars.append(scalar)
    }
    scalars = scalars.map { $0 == "\r" ? "\n" : $0 }
    if scalars.last == "\n" { scalars.removeLast() }
    self.scalars = scalars
  }

  private func starts(_ text: String, at index: Int? = nil) -> Bool {
    let start = index ?? offset
    let wanted = text.unicodeScalars
    return start + wanted.count <= scalars.count && zip(scalars[start...], wanted).allSatisfy { $0 == $1 }
  }

  private mutating func advance(_ count: Int) {
    for _ in 0..<count {
      if scalars[offset] == "\n" { line += 1 }
      offset += 1
    }
  }

  private func failure(_ message: String) -> TemplateError { TemplateError(.malformedTemplate, line: line, message) }

  private mutating func append(_ kind: TemplateToken.Kind) { tokens.append(TemplateToken(kind: kind, line: line)) }

  private mutating func run() throws(TemplateError) {
    while offset < scalars.count {
      try readText()
      guard offset < scalars.count else { break }
      if starts("{#") {
        try skipComment()
      } else if starts("{{") {
        append(.openExpression)
        advance(offset + 2 < scalars.count && "-+".unicodeScalars.contains(scalars[offset + 2]) ? 3 : 2)
        try readCode(isStatement: false)
      } else {
        try readStatement()
      }
    }
    append(.end)
  }

  /// Text up to the next delimiter, cut on the right as the delimiter says.
  private mutating func readText() throws(TemplateError) {
    let start = offset
    let startLine = line
    while offset < scalars.count {
      if scalars[offset] == "{", offset + 1 < scalars.count, "{%#".unicodeScalars.contains(scalars[offset + 1]) {
        break
      }
      advance(1)
    }
    var text = scalars[start..<offset]
    if offset < scalars.count {
      let mark = offset + 2 < scalars.count ? scalars[offset + 2] : " "
      if mark == "-" {
        while let last = text.last, last.properties.isWhitespace { text.removeLast() }
      } else if mark != "+", !starts("{{") {
        // A statement or comment that starts its line loses what is before it.
        var end = text.endIndex
        while end > text.startIndex, text[end - 1] != "\n", text[end - 1].properties.isWhitespace { end -= 1 }
        let isAtStart = end > text.startIndex ? text[end - 1] == "\n" : start == 0 || scalars[start - 1] == "\n"
        if isAtStart { text = text[..<end] }
      }
    }
    guard !text.isEmpty else { return }
    var string = String.UnicodeScalarView()
    string.append(contentsOf: text)
    tokens.append(TemplateToken(kind: .text(String(string)), line: startLine))
  }

  /// White space after a closing delimiter that ends in `-`, or the line break after a statement or comment.
  private mutating func skipAfter(strips: Bool, keeps: Bool, isExpression: Bool) {
    if strips {
      while offset < scalars.count, scalars[offset].properties.isWhitespace { advance(1) }
    } else if !isExpression, !keeps, offset < scalars.count, scalars[offset] == "\n" {
      advance(1)
    }
  }

  private mutating func skipComment() throws(TemplateError) {
    let begin = line
    advance(2)
    while offset < scalars.count, !starts("#}") { advance(1) }
    guard offset < scalars.count else {
      throw TemplateError(.malformedTemplate, line: begin, "a comment has no end")
    }
    let mark = scalars[offset - 1]
    advance(2)
    skipAfter(strips: mark == "-", keeps: mark == "+", isExpression: false)
  }

  private mutating func readStatement() throws(TemplateError) {
    append(.openStatement)
    let begin = offset
    advance(offset + 2 < scalars.count && "-+".unicodeScalars.contains(scalars[offset + 2]) ? 3 : 2)
    if let after = rawTag("raw", from: begin) {
      tokens.removeLast()
      advance(after.end - offset)
      skipAfter(strips: after.strips, keeps: false, isExpression: false)
      try readRaw()
      return
    }
    try readCode(isStatement: true)
  }

  /// Where `{% NAME %}` at `start` ends, if that is what stands there.
  private func rawTag(_ name: String, from start: Int) -> (end: Int, strips: Bool, stripsBefore: Bool)? {
    var index = start + 2
    let stripsBefore = index < scalars.count && scalars[index] == "-"
    if index < scalars.count, "-+".unicodeScalars.contains(scalars[index]) { index += 1 }
    while index < scalars.count, scalars[index].properties.isWhitespace { index += 1 }
    guard starts(name, at: index) else { return nil }
    index += name.unicodeScalars.count
    while index < scalars.count, scalars[index].properties.isWhitespace { index += 1 }
    let strips = index < scalars.count && scalars[index] == "-"
    if strips { index += 1 }
    guard starts("%}", at: index) else { return nil }
    return (index + 2, strips, stripsBefore)
  }

  private mutating func readRaw() throws(TemplateError) {
    let begin = line
    var text: [Unicode.Scalar] = []
    while offset < scalars.count {
      if starts("{%"), let tag = rawTag("endraw", from: offset) {
        if tag.stripsBefore { while let last = text.last, last.properties.isWhitespace { text.removeLast() } }
        var string = String.UnicodeScalarView()
        string.append(contentsOf: text)
        append(.text(String(string)))
        advance(tag.end - offset)
        skipAfter(strips: tag.strips, keeps: false, isExpression: false)
        return
      }
      text.append(scalars[offset])
      advance(1)
    }
    throw TemplateError(.malformedTemplate, line: begin, "'raw' has no 'endraw'")
  }

  /// Tokens up to the closing delimiter.
  private mutating func readCode(isStatement: Bool) throws(TemplateError) {
    let closing = isStatement ? "%}" : "}}"
    let begin = line
    var braces = 0
    while offset < scalars.count {
      let scalar = scalars[offset]
      if scalar.properties.isWhitespace {
        advance(1)
      } else if braces == 0,
        starts(closing) || ("-+".unicodeScalars.contains(scalar) && starts(closing, at: offset + 1))
      {
        let mark = starts(closing) ? " " : scalar
        append(isStatement ? .closeStatement : .closeExpression)
        advance(mark == " " ? 2 : 3)
        skipAfter(strips: mark == "-", keeps: mark == "+", isExpression: !isStatement)
        return
      } else if scalar == "'" || scalar == "\"" {
        try readString(scalar)
      } else if scalar.properties.isXIDStart || scalar == "_" {
        let start = offset
        while offset < scalars.count, scalars[offset].properties.isXIDContinue { advance(1) }
        append(.name(text(start..<offset)))
      } else if (Unicode.Scalar("0")...Unicode.Scalar("9")).contains(scalar) {
        try readNumber()
      } else if let symbol = Self.symbols.first(where: { starts($0) }) {
        append(.symbol(symbol))
        advance(2)
      } else if Self.singleSymbols.unicodeScalars.contains(scalar) {
        if scalar == "{" { braces += 1 }
        if scalar == "}" { braces = max(0, braces - 1) }
        append(.symbol(String(scalar)))
        advance(1)
      } else {
        throw failure("'\(scalar)' cannot stand in an expression")
      }
    }
    throw TemplateError(.malformedTemplate, line: begin, "'\(isStatement ? "{%" : "{{")' has no '\(closing)'")
  }

  private func text(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view)
  }

  private mutating func readNumber() throws(TemplateError) {
    let start = offset
    func isDigit(_ index: Int) -> Bool {
      index < scalars.count && ("0"..."9" ~= scalars[index] || scalars[index] == "_")
    }
    while isDigit(offset) { advance(1) }
    var isDouble = false
    if offset < scalars.count, scalars[offset] == ".", isDigit(offset + 1) {
      isDouble = true
      advance(1)
      while isDigit(offset) { advance(1) }
    }
    if offset < scalars.count, scalars[offset] == "e" || scalars[offset] == "E" {
      let signed = offset + 1 < scalars.count && "+-".unicodeScalars.contains(scalars[offset + 1]) ? 2 : 1
      if isDigit(offset + signed) {
        isDouble = true
        advance(signed)
        while isDigit(offset) { advance(1) }
      }
    }
    let digits = text(start..<offset).filter { $0 != "_" }
    if !isDouble, let value = Int(digits) {
      append(.int(value))
    } else if isDouble, let value = Double(digits), value.isFinite {
      append(.double(value))
    } else {
      throw failure("'\(digits.prefix(30))' is no number of 64 bits")
    }
  }

  private mutating func readString(_ quote: Unicode.Scalar) throws(TemplateError) {
    let begin = line
    advance(1)
    var result = String.UnicodeScalarView()
    while offset < scalars.count, scalars[offset] != quote {
      guard scalars[offset] == "\\", offset + 1 < scalars.count else {
        result.append(scalars[offset])
        advance(1)
        continue
      }
      let escaped = scalars[offset + 1]
      advance(2)
      switch escaped {
      case "n": result.append("\n")
      case "t": result.append("\t")
      case "r": result.append("\r")
      case "0": result.append("\0")
      case "b": result.append("\u{8}")
      case "f": result.append("\u{C}")
      case "v": result.append("\u{B}")
      case "a": result.append("\u{7}")
      case "\\", "'", "\"": result.append(escaped)
      case "\n": break
      case "x", "u", "U":
        let count = escaped == "x" ? 2 : escaped == "u" ? 4 : 8
        guard offset + count <= scalars.count, let code = UInt32(text(offset..<offset + count), radix: 16),
          let scalar = Unicode.Scalar(code)
        else { throw failure("'\\\(escaped)' needs \(count) hexadecimal digits of a character") }
        result.append(scalar)
        advance(count)
      default:
        // Python keeps what it does not know.
        result.append("\\")
        result.append(escaped)
      }
    }
    guard offset < scalars.count else { throw TemplateError(.malformedTemplate, line: begin, "a string has no end") }
    advance(1)
    tokens.append(TemplateToken(kind: .string(String(result)), line: begin))
  }
}

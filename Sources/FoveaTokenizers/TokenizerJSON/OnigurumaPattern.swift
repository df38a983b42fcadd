/// A regular expression in Oniguruma's Ruby syntax, turned into one for PCRE2 with the same matches.
///
/// What differs: `\s` and `\w` of PCRE2 know fewer or other characters, `\h` is a hexadecimal digit, `(?m)` lets the dot
/// match newlines, `{2}+` repeats instead of being possessive, `{,3}` begins at 0, and classes can be nested and
/// intersected, which is refused.
struct OnigurumaPattern {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var output = String.UnicodeScalarView()

  private static let spaces = "\\t-\\r\\x{85}\\p{Z}"
  private static let wordCharacters = "\\p{L}\\p{M}\\p{N}\\p{Pc}\\p{Alphabetic}"

  init(_ pattern: String) {
    scalars = Array(pattern.unicodeScalars)
  }

  /// The UTF-8 bytes of the pattern for PCRE2.
  func translation() throws(Regex.Failure) -> [UInt8] {
    var copy = self
    try copy.translate()
    return Array(String(copy.output).utf8)
  }

  private mutating func translate() throws(Regex.Failure) {
    // Where in the output the last atom begins, and those of the open groups.
    var atomStart = 0
    var groupStarts: [Int] = []
    while let scalar = next() {
      switch scalar {
      case "\\":
        atomStart = output.count
        try escape(isInClass: false, isNegatedClass: false)
      case "[":
        atomStart = output.count
        try characterClass()
      case "(":
        groupStarts.append(output.count)
        atomStart = output.count
        output.append("(")
        if peek == "?" { groupOptions() }
      case ")":
        output.append(")")
        atomStart = groupStarts.popLast() ?? 0
      case "{":
        if !interval(atomStart) { atomStart = output.count; append("\\{") }
      case "*", "+", "?", "|", "^", "$":
        output.append(scalar)
      default:
        atomStart = output.count
        output.append(scalar)
      }
    }
  }

  private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func next() -> Unicode.Scalar? {
    guard let scalar = peek else { return nil }
    position += 1
    return scalar
  }

  private mutating func append(_ text: String) {
    output.append(contentsOf: text.unicodeScalars)
  }

  /// Goes on behind `(`, at `?`: option letters are those of Ruby.
  private mutating func groupOptions() {
    var end = position + 1
    while end < scalars.count, "imsx-".unicodeScalars.contains(scalars[end]) { end += 1 }
    guard end < scalars.count, end > position + 1, scalars[end] == ":" || scalars[end] == ")" else { return }
    for scalar in scalars[position..<end] { output.append(scalar == "m" ? "s" : scalar) }
    position = end
  }

  /// Goes on behind `{`. Whether it begins an interval; otherwise it stands for itself and nothing was read.
  private mutating func interval(_ atomStart: Int) -> Bool {
    var end = position
    var digits: [String] = [""]
    while end < scalars.count, scalars[end] != "}" {
      if scalars[end] == ",", digits.count == 1 {
        digits.append("")
      } else if ("0"..."9").contains(scalars[end]), digits[digits.count - 1].count < 6 {
        digits[digits.count - 1].unicodeScalars.append(scalars[end])
      } else {
        return false
      }
      end += 1
    }
    guard end < scalars.count, digits.contains(where: { !$0.isEmpty }) else { return false }
    position = end + 1
    if digits[0].isEmpty { digits[0] = "0" }
    append("{" + digits.joined(separator: ",") + "}")
    // Possessive in PCRE2, but a repetition of the repetition in Ruby.
    if peek == "+" {
      let start = output.index(output.startIndex, offsetBy: atomStart)
      output.insert(contentsOf: "(?:".unicodeScalars, at: start)
      output.append(")")
    }
    return true
  }

  /// Goes on behind `\`.
  private mutating func escape(isInClass: Bool, isNegatedClass: Bool) throws(Regex.Failure) {
    guard let scalar = next() else { throw Regex.Failure(reason: "a backslash at the end of the pattern") }
    switch (scalar, isInClass) {
    case ("s", true): append(Self.spaces)
    case ("s", false): append("[\(Self.spaces)]")
    case ("S", true): append("\\S\\x{180e}")
    case ("S", false): append("[^\(Self.spaces)]")
    case ("w", true): append(Self.wordCharacters)
    case ("w", false): append("[\(Self.wordCharacters)]")
    case ("W", false): append("[^\(Self.wordCharacters)]")
    case ("h", true): append("0-9A-Fa-f")
    case ("h", false): append("[0-9A-Fa-f]")
    case ("H", false): append("[^0-9A-Fa-f]")
    case ("W", true), ("H", true):
      throw Regex.Failure(reason: "\\\(scalar) inside a class is not supported")
    case ("b", false), ("B", false):
      // With PCRE2's own idea of a word, which knows fewer characters.
      let word = "[\(Self.wordCharacters)]"
      append(
        scalar == "b"
          ? "(?:(?<=\(word))(?!\(word))|(?<!\(word))(?=\(word)))"
          : "(?:(?<=\(word))(?=\(word))|(?<!\(word))(?!\(word)))")
    case ("u", _):
      let digits = scalars[position...].prefix(4)
      guard digits.count == 4, digits.allSatisfy({ $0.properties.isASCIIHexDigit }) else {
        throw Regex.Failure(reason: "\\u without four hexadecimal digits")
      }
      append("\\x{" + String(String.UnicodeScalarView(digits)) + "}")
      position += 4
    case ("R", _), ("X", _), ("K", _), ("G", _), ("g", _), ("k", _), ("y", _), ("Y", _), ("O", _), ("N", _), ("C", _),
      ("M", _), ("Q", _), ("E", _):
      throw Regex.Failure(reason: "\\\(scalar) is not supported")
    case ("p", _), ("P", _), ("x", _):
      append("\\" + String(Character(scalar)))
      guard peek == "{" else { return }
      while let next = next() {
        output.append(next)
        if next == "}" { return }
      }
    default:
      output.append("\\")
      output.append(scalar)
    }
  }

  /// Goes on behind `[`.
  private mutating func characterClass() throws(Regex.Failure) {
    output.append("[")
    var isNegated = false
    if peek == "^" {
      position += 1
      output.append("^")
      isNegated = true
    }
    var isFirst = true
    while let scalar = next() {
      switch scalar {
      case "]" where !isFirst:
        output.append("]")
        return
      case "[":
        guard peek == ":" else { throw Regex.Failure(reason: "a class inside a class is not supported") }
        output.append("[")
      case "&" where peek == "&":
        throw Regex.Failure(reason: "an intersection of classes is not supported")
      case "\\":
        try escape(isInClass: true, isNegatedClass: isNegated)
      case ":" where peek == "]" && output.last != "[":
        // The end of a POSIX class such as [:alpha:], or a colon before the end of this one: both stay as they are.
        output.append(":")
        if isPosixClassOpen {
          position += 1
          output.append("]")
        }
      default: output.append(scalar)
      }
      isFirst = false
    }
    throw Regex.Failure(reason: "a class without its closing bracket")
  }

  /// Whether the output ends within `[:name`.
  private var isPosixClassOpen: Bool {
    let name = output.dropLast().reversed().prefix { $0.properties.isAlphabetic && $0.isASCII || $0 == "^" }
    let before = output.dropLast(name.count + 1).suffix(2)
    return !name.isEmpty && String(String.UnicodeScalarView(before)) == "[:"
  }
}

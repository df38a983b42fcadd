/// Members of values: keys of dictionaries, and the methods of Python's types that templates use.
extension TemplateInterpreter {
  /// Methods that change their object, which the sandbox of transformers refuses too.
  private static let changing: Set<String> = [
    "append", "extend", "insert", "remove", "reverse", "sort", "pop", "popitem", "clear", "update", "setdefault", "add",
    "discard",
  ]

  func attribute(_ name: String, of base: TemplateValue) throws -> TemplateValue {
    if case .undefined(let reason) = base { throw failure(reason) }
    guard !name.hasPrefix("_") else { return .undefined("access to '\(name)' is not allowed") }
    func method(
      _ body: @escaping @Sendable (TemplateArguments, TemplateInterpreter) throws -> TemplateValue
    ) -> TemplateValue { .function(TemplateFunction(name: name, depth: 1 + base.depth, body: body)) }
    switch base {
    case .namespace(let namespace):
      return namespace.members[name] ?? .undefined("the namespace has no member '\(name)'")
    case .dictionary(let dictionary):
      switch name {
      case "items", "keys", "values", "get", "copy":
        return method { arguments, interpreter in
          try interpreter.callDictionary(dictionary, name, arguments)
        }
      default:
        try stepForSearch(of: .string(name), in: dictionary)
        if let value = dictionary[name] { return value }
        guard !Self.changing.contains(name) else { throw failure("'\(name)' would change a dictionary: not allowed") }
        return .undefined("'dict object' has no attribute '\(name)'")
      }
    case .list(let elements), .tuple(let elements):
      guard !Self.changing.contains(name) else { throw failure("'\(name)' would change a list: not allowed") }
      switch name {
      case "index":
        return method { arguments, interpreter in
          guard let wanted = arguments.value(0, "value") else { throw interpreter.failure("'index' needs a value") }
          guard let index = try elements.firstIndex(where: { try interpreter.equal($0, wanted) }) else {
            throw interpreter.failure("'index' finds no such element")
          }
          return .int(index)
        }
      case "count":
        return method { arguments, interpreter in
          guard let wanted = arguments.value(0, "value") else { throw interpreter.failure("'count' needs a value") }
          return .int(try elements.filter { try interpreter.equal($0, wanted) }.count)
        }
      default: return .undefined("'list object' has no attribute '\(name)'")
      }
    case .string(let text):
      guard let body = Self.textMethods[name] else { return .undefined("'str object' has no attribute '\(name)'") }
      return method { arguments, interpreter in
        try interpreter.step(text.utf8.count >> 5)
        return try body(text, arguments, interpreter)
      }
    default: return .undefined("\(describe(base)) has no attribute '\(name)'")
    }
  }

  private func callDictionary(
    _ dictionary: TemplateDictionary, _ name: String, _ arguments: TemplateArguments
  ) throws -> TemplateValue {
    try take(bytes: 32 * dictionary.members.count)
    switch name {
    case "items": return .list(dictionary.members.map { .tuple([$0.key, $0.value]) })
    case "keys": return .list(dictionary.members.map(\.key))
    case "values": return .list(dictionary.members.map(\.value))
    case "copy": return .dictionary(dictionary)
    default:
      guard let key = arguments.value(0, "key") else { throw failure("'get' needs a key") }
      let absent = arguments.value(1, "default") ?? .none
      try stepForSearch(of: key, in: dictionary)
      return dictionary[key] ?? absent
    }
  }

  // MARK: Texts

  private typealias TextMethod = @Sendable (String, TemplateArguments, TemplateInterpreter) throws -> TemplateValue

  private static let textMethods: [String: TextMethod] = {
    func predicate(_ test: @escaping @Sendable (Unicode.Scalar) -> Bool) -> TextMethod {
      { text, _, _ in .bool(!text.isEmpty && text.unicodeScalars.allSatisfy(test)) }
    }
    func changed(_ change: @escaping @Sendable (String) -> String) -> TextMethod {
      { text, _, interpreter in
        try interpreter.take(bytes: 2 * text.utf8.count)
        // Properties are looked up scalar by scalar.
        try interpreter.step(text.utf8.count >> 3)
        return .string(change(text))
      }
    }
    func stripping(_ left: Bool, _ right: Bool) -> TextMethod {
      { text, arguments, interpreter in
        var characters: String?
        if case .string(let given)? = arguments.value(0, "chars") { characters = given }
        try interpreter.take(bytes: text.utf8.count)
        return .string(text.stripped(of: characters, left: left, right: right))
      }
    }
    func affix(_ test: @escaping @Sendable (String, String) -> Bool) -> TextMethod {
      { text, arguments, interpreter in
        let options = arguments.positional.first?.asTuple ?? []
        return .bool(
          try options.contains { option in
            guard case .string(let affix) = option else { throw interpreter.failure("expected a text to compare with") }
            try interpreter.step(affix.utf8.count >> 8)
            return test(text, affix)
          })
      }
    }
    let startsWith: @Sendable (String, String) -> Bool = { $0.utf8.starts(with: $1.utf8) }
    let endsWith: @Sendable (String, String) -> Bool = { $0.utf8.suffix($1.utf8.count).elementsEqual($1.utf8) }
    func found(isReverse: Bool, mustExist: Bool) -> TextMethod {
      { text, arguments, interpreter in
        guard case .string(let part)? = arguments.positional.first else {
          throw interpreter.failure("expected a text to look for")
        }
        var result: Range<Int>?
        if isReverse {
          var start = 0
          while let range = try interpreter.firstRange(of: part, in: text, from: start) {
            result = range
            start = range.lowerBound + 1
          }
        } else {
          result = try interpreter.firstRange(of: part, in: text)
        }
        guard let result else {
          if mustExist { throw interpreter.failure("'index' finds no such text") }
          return .int(-1)
        }
        return .int(text.utf8.prefix(result.lowerBound).count { $0 & 0xC0 != 0x80 })
      }
    }
    return [
      "upper": changed { $0.uppercased() }, "lower": changed { $0.lowercased() },
      "casefold": changed { $0.lowercased() },
      "title": changed(\.titleCased), "capitalize": changed(\.capitalizedFirst),
      "strip": stripping(true, true), "lstrip": stripping(true, false), "rstrip": stripping(false, true),
      "startswith": affix(startsWith), "endswith": affix(endsWith),
      "find": found(isReverse: false, mustExist: false), "rfind": found(isReverse: true, mustExist: false),
      "index": found(isReverse: false, mustExist: true),
      "isdigit": predicate { $0.properties.numericType == .decimal || $0.properties.numericType == .digit },
      "isnumeric": predicate { $0.properties.numericType != nil },
      "isalpha": predicate { $0.properties.isAlphabetic },
      "isalnum": predicate { $0.properties.isAlphabetic || $0.properties.numericType != nil },
      "isspace": predicate(\.isPythonSpace),
      "isupper": { text, _, _ in
        .bool(
          text.unicodeScalars.contains { $0.properties.isUppercase }
            && !text.unicodeScalars.contains { $0.properties.isLowercase })
      },
      "islower": { text, _, _ in
        .bool(
          text.unicodeScalars.contains { $0.properties.isLowercase }
            && !text.unicodeScalars.contains { $0.properties.isUppercase })
      },
      "removeprefix": { text, arguments, _ in
        guard case .string(let affix)? = arguments.positional.first, startsWith(text, affix) else {
          return .string(text)
        }
        return .string(String(decoding: text.utf8.dropFirst(affix.utf8.count), as: UTF8.self))
      },
      "removesuffix": { text, arguments, _ in
        guard case .string(let affix)? = arguments.positional.first, !affix.isEmpty, endsWith(text, affix) else {
          return .string(text)
        }
        return .string(String(decoding: text.utf8.dropLast(affix.utf8.count), as: UTF8.self))
      },
      "count": { text, arguments, interpreter in
        guard case .string(let part)? = arguments.positional.first else {
          throw interpreter.failure("'count' needs a text")
        }
        return .int(try interpreter.pieces(of: text, by: part, limit: nil).count - 1)
      },
      "replace": { text, arguments, interpreter in try interpreter.replaced(text, arguments) },
      "split": { text, arguments, interpreter in try interpreter.split(text, arguments, isReverse: false) },
      "rsplit": { text, arguments, interpreter in try interpreter.split(text, arguments, isReverse: true) },
      "splitlines": { text, _, interpreter in
        try interpreter.take(bytes: 2 * text.utf8.count)
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map(String.init)
        if lines.last == "" { lines.removeLast() }
        return .list(lines.map { .string($0) })
      },
      "join": { text, arguments, interpreter in
        let parts = try interpreter.elements(of: arguments.positional.first ?? .list([])).map { part in
          guard case .string(let text) = part else {
            throw interpreter.failure("'join' needs texts, found \(part.typeName)")
          }
          return text
        }
        try interpreter.take(bytes: parts.reduce(0) { $0 + $1.utf8.count + text.utf8.count })
        return .string(parts.joined(separator: text))
      },
      "format": { text, arguments, interpreter in try interpreter.replacingFields(text, arguments) },
      "zfill": { text, arguments, interpreter in
        let width = arguments.positional.first?.integer ?? 0
        try interpreter.take(bytes: max(0, width))
        let sign = text.hasPrefix("-") ? "-" : ""
        let padding = String(repeating: "0", count: max(0, width - text.unicodeScalars.count))
        return .string(sign + padding + text.dropFirst(sign.count))
      },
    ]
  }()

  /// The parts of a text between a separator's places, at most `limit` of these taken.
  func pieces(of text: String, by separator: String, limit: Int?) throws -> [String] {
    if separator.isEmpty { throw failure("a separator is empty") }
    try take(bytes: text.utf8.count)
    let bytes = Array(text.utf8)
    var pieces: [String] = []
    var start = 0
    while limit.map({ pieces.count < $0 }) ?? true,
      let range = try firstRange(of: Array(separator.utf8), in: bytes, from: start)
    {
      try take(bytes: 32)
      pieces.append(String(decoding: bytes[start..<range.lowerBound], as: UTF8.self))
      start = range.upperBound
    }
    return pieces + [String(decoding: bytes[start...], as: UTF8.self)]
  }

  func replaced(_ text: String, _ arguments: TemplateArguments) throws -> TemplateValue {
    guard case .string(let old)? = arguments.value(0, "old"), case .string(let new)? = arguments.value(1, "new") else {
      throw failure("'replace' needs two texts")
    }
    var limit = arguments.value(2, "count")?.integer
    if let given = limit, given < 0 { limit = nil }
    if old.isEmpty {
      // Between all characters.
      let parts = text.unicodeScalars.map { String($0) }
      try take(bytes: (parts.count + 1) * (new.utf8.count + 4))
      return .string(new + parts.map { $0 + new }.joined())
    }
    let parts = try pieces(of: text, by: old, limit: limit)
    try take(bytes: text.utf8.count + new.utf8.count * parts.count)
    return .string(parts.joined(separator: new))
  }

  private func split(_ text: String, _ arguments: TemplateArguments, isReverse: Bool) throws -> TemplateValue {
    var limit = arguments.value(1, "maxsplit")?.integer
    if let given = limit, given < 0 { limit = nil }
    var parts: [String]
    if case .string(let separator)? = arguments.value(0, "sep") {
      parts = try pieces(of: text, by: separator, limit: isReverse ? nil : limit)
      if isReverse, let limit, parts.count > limit + 1 {
        let head = parts.prefix(parts.count - limit).joined(separator: separator)
        parts = [head] + parts.suffix(limit)
      }
    } else {
      try take(bytes: 2 * text.utf8.count)
      guard limit == nil else { throw failure("'split' at white space with a limit is not built") }
      parts = text.unicodeScalars.split { $0.isPythonSpace }.map { String($0) }
    }
    return .list(parts.map { .string($0) })
  }

  /// `"{} {0} {name}".format(…)` without formats after a colon.
  private func replacingFields(_ text: String, _ arguments: TemplateArguments) throws -> TemplateValue {
    var result = ""
    var rest = Substring(text)
    var next = 0
    while let character = rest.popFirst() {
      guard character == "{" || character == "}" else {
        result.append(character)
        continue
      }
      if rest.first == character {
        result.append(rest.removeFirst())
        continue
      }
      guard character == "{", let end = rest.firstIndex(of: "}") else { throw failure("a format has a single brace") }
      let field = rest[..<end]
      rest = rest[rest.index(after: end)...]
      let value: TemplateValue?
      if field.isEmpty {
        value = arguments.value(next, "")
        next += 1
      } else if let index = Int(field) {
        value = arguments.value(index, "")
      } else {
        value = arguments.named.first { $0.name == field }?.value
      }
      guard let value else { throw failure("the format field '{\(field)}' has no value") }
      result += try self.text(of: value)
    }
    try take(bytes: result.utf8.count)
    return .string(result)
  }
}

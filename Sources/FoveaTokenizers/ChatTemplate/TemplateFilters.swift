extension TemplateInterpreter {
  private typealias Filter = @Sendable (TemplateValue, TemplateArguments, TemplateInterpreter) throws -> TemplateValue

  func applyFilter(_ name: String, to value: TemplateValue, _ arguments: TemplateArguments) throws -> TemplateValue {
    guard let filter = Self.filters[name] else { throw failure("there is no filter '\(name)'") }
    try step()
    return try filter(value, arguments, self)
  }

  /// The value at a path such as `function.name` or `0`.
  private func member(_ path: TemplateValue, of value: TemplateValue) throws -> TemplateValue {
    guard case .string(let text) = path else { return try item(path, of: value) }
    return try text.split(separator: ".").reduce(value) { base, part in
      if let index = Int(part) { return try item(.int(index), of: base) }
      if case .undefined = base { return base }
      return try item(.string(String(part)), of: base)
    }
  }

  private func selected(
    _ value: TemplateValue, _ arguments: TemplateArguments, byAttribute: Bool, wanted: Bool
  ) throws -> TemplateValue {
    var rest = arguments.positional[...]
    let path = byAttribute ? rest.popFirst() : nil
    if byAttribute, path == nil { throw failure("'selectattr' needs the name of an attribute") }
    let test = rest.popFirst()
    guard value.isTrue else { return .list([]) }
    return .list(
      try elements(of: value).filter { element in
        let subject = try path.map { try member($0, of: element) } ?? element
        guard let test else { return subject.isTrue == wanted }
        guard case .string(let name) = test else { throw failure("a test's name must be a text") }
        return try applyTest(name, to: subject, TemplateArguments(positional: Array(rest))) == wanted
      })
  }

  private func sorted(_ value: TemplateValue, _ arguments: TemplateArguments) throws -> [TemplateValue] {
    let isReversed = arguments.value(0, "reverse")?.isTrue ?? false
    let ignoresCase = !(arguments.value(1, "case_sensitive")?.isTrue ?? false)
    let path = arguments.value(2, "attribute")
    let keyed = try elements(of: value).map { element in
      var key = try path.map { try member($0, of: element) } ?? element
      if ignoresCase, case .string(let text) = key { key = .string(text.lowercased()) }
      return (key, element)
    }
    // Stable both ways, as Python's.
    let ordered = try keyed.enumerated().sorted { first, second in
      let order = try self.ordered(first.element.0, second.element.0)
      return order == 0 ? first.offset < second.offset : isReversed ? order > 0 : order < 0
    }
    return ordered.map(\.element.1)
  }

  private static func extreme(_ sign: Int) -> Filter {
    { value, arguments, interpreter in
      let path = arguments.value(1, "attribute")
      var best: (key: TemplateValue, element: TemplateValue)?
      for element in try interpreter.elements(of: value) {
        let key = try path.map { try interpreter.member($0, of: element) } ?? element
        if let current = best, try interpreter.ordered(key, current.key) * sign >= 0 { continue }
        best = (key, element)
      }
      return best?.element ?? .undefined("there is no element")
    }
  }

  private static let filters: [String: Filter] = {
    /// A filter that is the method of a text.
    func method(_ name: String) -> Filter {
      { value, arguments, interpreter in
        let text = TemplateValue.string(try interpreter.text(of: value))
        guard case .function(let function) = try interpreter.attribute(name, of: text) else { return text }
        return try function.body(arguments, interpreter)
      }
    }
    let count: Filter = { value, _, interpreter in
      switch value {
      case .string(let text):
        try interpreter.step(text.utf8.count >> 6)
        return .int(text.unicodeScalars.count)
      case .dictionary(let dictionary): return .int(dictionary.members.count)
      default: return .int(try interpreter.elements(of: value).count)
      }
    }
    let absent: Filter = { value, arguments, _ in
      let substitute = arguments.value(0, "default_value") ?? .string("")
      if case .undefined = value { return substitute }
      return arguments.value(1, "boolean")?.isTrue ?? false ? (value.isTrue ? value : substitute) : value
    }
    let escape: Filter = { value, _, interpreter in
      let text = try interpreter.text(of: value)
      try interpreter.take(bytes: 6 * text.utf8.count)
      let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&#34;"), ("'", "&#39;")]
      return .string(pairs.reduce(text) { $0.replacing($1.0, with: $1.1) })
    }
    var filters: [String: Filter] = [
      "trim": method("strip"), "upper": method("upper"), "lower": method("lower"), "title": method("title"),
      "capitalize": method("capitalize"), "replace": method("replace"),
      "length": count, "count": count, "default": absent, "d": absent, "escape": escape, "e": escape,
      "safe": { value, _, _ in value },
      "string": { value, _, interpreter in .string(try interpreter.text(of: value)) },
      "list": { value, _, interpreter in .list(try interpreter.elements(of: value)) },
      "first": { value, _, interpreter in
        try interpreter.elements(of: value).first ?? .undefined("there is no first element")
      },
      "last": { value, _, interpreter in
        try interpreter.elements(of: value).last ?? .undefined("there is no last element")
      },
      "min": extreme(1), "max": extreme(-1),
      "sort": { value, arguments, interpreter in .list(try interpreter.sorted(value, arguments)) },
      "select": { try $2.selected($0, $1, byAttribute: false, wanted: true) },
      "reject": { try $2.selected($0, $1, byAttribute: false, wanted: false) },
      "selectattr": { try $2.selected($0, $1, byAttribute: true, wanted: true) },
      "rejectattr": { try $2.selected($0, $1, byAttribute: true, wanted: false) },
    ]
    filters["reverse"] = { value, _, interpreter in
      if case .string(let text) = value {
        return .string(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
      }
      return .list(try interpreter.elements(of: value).reversed())
    }
    filters["join"] = { value, arguments, interpreter in
      let separator = try interpreter.text(of: arguments.value(0, "d") ?? .string(""))
      let path = arguments.value(1, "attribute")
      let parts = try interpreter.elements(of: value).map { element in
        try interpreter.text(of: try path.map { try interpreter.member($0, of: element) } ?? element)
      }
      try interpreter.take(bytes: parts.reduce(0) { $0 + $1.utf8.count + separator.utf8.count })
      return .string(parts.joined(separator: separator))
    }
    filters["map"] = { value, arguments, interpreter in
      let elements = value.isTrue ? try interpreter.elements(of: value) : []
      if let path = arguments.named.first(where: { $0.name == "attribute" })?.value {
        let substitute = arguments.named.first { $0.name == "default" }?.value
        return .list(
          try elements.map { element in
            let result = try interpreter.member(path, of: element)
            if case .undefined = result, let substitute { return substitute }
            return result
          })
      }
      guard case .string(let name)? = arguments.positional.first else {
        throw interpreter.failure("'map' needs a filter or an attribute")
      }
      let rest = TemplateArguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
      return .list(try elements.map { try interpreter.applyFilter(name, to: $0, rest) })
    }
    filters["items"] = { value, _, interpreter in
      if case .undefined = value { return .list([]) }
      guard case .dictionary(let dictionary) = value else { throw interpreter.failure("'items' needs a dictionary") }
      return .list(dictionary.members.map { .tuple([$0.key, $0.value]) })
    }
    filters["dictsort"] = { value, arguments, interpreter in
      guard case .dictionary(let dictionary) = value else { throw interpreter.failure("'dictsort' needs a dictionary") }
      let byValue = if case .string("value")? = arguments.value(1, "by") { true } else { false }
      let pairs = dictionary.members.map { TemplateValue.tuple([$0.key, $0.value]) }
      var options = TemplateArguments(named: [("attribute", .int(byValue ? 1 : 0))])
      options.named += [("reverse", arguments.value(2, "reverse") ?? .bool(false))]
      options.named += [("case_sensitive", arguments.value(0, "case_sensitive") ?? .bool(false))]
      return .list(try interpreter.sorted(.list(pairs), options))
    }
    filters["groupby"] = { value, arguments, interpreter in
      guard let path = arguments.value(0, "attribute") else {
        throw interpreter.failure("'groupby' needs an attribute")
      }
      let options = TemplateArguments(named: [("attribute", path), ("case_sensitive", .bool(true))])
      var groups: [(key: TemplateValue, elements: [TemplateValue])] = []
      for element in try interpreter.sorted(value, options) {
        let key = try interpreter.member(path, of: element)
        if let last = groups.last, try interpreter.equal(last.key, key) {
          groups[groups.count - 1].elements.append(element)
        } else {
          groups.append((key, [element]))
        }
      }
      return .list(groups.map { .tuple([$0.key, .list($0.elements)]) })
    }
    filters["unique"] = { value, _, interpreter in
      var result: [TemplateValue] = []
      func folded(_ value: TemplateValue) -> TemplateValue {
        if case .string(let text) = value { return .string(text.lowercased()) }
        return value
      }
      var keys: [TemplateValue] = []
      for element in try interpreter.elements(of: value) {
        let key = folded(element)
        guard try !keys.contains(where: { try interpreter.equal($0, key) }) else { continue }
        keys.append(key)
        result.append(element)
      }
      return .list(result)
    }
    filters["sum"] = { value, arguments, interpreter in
      let path = arguments.value(0, "attribute")
      return try interpreter.elements(of: value).reduce(arguments.value(1, "start") ?? .int(0)) { sum, element in
        try interpreter.calculate("+", sum, try path.map { try interpreter.member($0, of: element) } ?? element)
      }
    }
    filters["int"] = { value, arguments, interpreter in
      let absent = arguments.value(0, "default") ?? .int(0)
      if case .string(let text) = value {
        let stripped = text.stripped()
        return Int(stripped).map { .int($0) } ?? Double(stripped).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map
        { .int($0) } ?? absent
      }
      guard let number = value.number else { return absent }
      guard number.isFinite else { throw interpreter.failure("'int' needs a finite number") }
      return value.integer.map { .int($0) } ?? Int(exactly: number.rounded(.towardZero)).map { .int($0) } ?? absent
    }
    filters["float"] = { value, arguments, _ in
      let absent = arguments.value(0, "default") ?? .double(0)
      if case .string(let text) = value { return Double(text.stripped()).map { .double($0) } ?? absent }
      return value.number.map { .double($0) } ?? absent
    }
    filters["abs"] = { value, _, interpreter in
      switch value {
      case .int(let number) where number != .min: return .int(abs(number))
      case .double(let number): return .double(abs(number))
      default: throw interpreter.failure("'abs' needs a number")
      }
    }
    filters["round"] = { value, arguments, interpreter in
      guard let number = value.number else { throw interpreter.failure("'round' needs a number") }
      var scale = 1.0
      for _ in 0..<min(max(arguments.value(0, "precision")?.integer ?? 0, 0), 15) { scale *= 10 }
      let rule: FloatingPointRoundingRule =
        switch arguments.value(1, "method") {
        case .string("ceil")?: .up
        case .string("floor")?: .down
        default: .toNearestOrEven
        }
      return .double((number * scale).rounded(rule) / scale)
    }
    filters["indent"] = { value, arguments, interpreter in
      let text = try interpreter.text(of: value)
      let indent: String
      switch arguments.value(0, "width") {
      case .string(let given)?: indent = given
      case let width:
        let count = max(width?.integer ?? 4, 0)
        guard count <= 1000 else { throw interpreter.failure("'indent' by more than 1000") }
        indent = String(repeating: " ", count: count)
      }
      let (first, blank) = (arguments.value(1, "first")?.isTrue ?? false, arguments.value(2, "blank")?.isTrue ?? false)
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      try interpreter.take(bytes: text.utf8.count + lines.count * (indent.utf8.count + 16))
      return .string(
        lines.enumerated().map { index, line in
          (index == 0 ? first : blank || !line.isEmpty) ? indent + line : String(line)
        }.joined(separator: "\n"))
    }
    filters["wordcount"] = { value, _, interpreter in
      .int(try interpreter.text(of: value).unicodeScalars.split { $0.isPythonSpace }.count)
    }
    filters["format"] = { value, arguments, interpreter in
      .string(try interpreter.formatted(try interpreter.text(of: value), arguments.positional))
    }
    filters["tojson"] = { value, arguments, interpreter in
      // transformers' own: ensure_ascii, indent, separators, sort_keys.
      var style = JSONStyle()
      style.isASCII = arguments.value(0, "ensure_ascii")?.isTrue ?? false
      switch arguments.value(1, "indent") {
      case .int(let width)?:
        guard width <= 100 else { throw interpreter.failure("'tojson' with an indent of more than 100") }
        style.indent = String(repeating: " ", count: max(width, 0))
      case .string(let text)?: style.indent = text
      default: break
      }
      if style.indent != nil { style.itemSeparator = "," }
      if let separators = arguments.value(2, "separators")?.elements, separators.count == 2 {
        style.itemSeparator = try interpreter.text(of: separators[0])
        style.keySeparator = try interpreter.text(of: separators[1])
      }
      style.sortsKeys = arguments.value(3, "sort_keys")?.isTrue ?? false
      return .string(try interpreter.json(value, style))
    }
    return filters
  }()
}

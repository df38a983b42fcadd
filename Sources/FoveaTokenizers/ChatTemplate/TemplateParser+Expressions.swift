/// Expressions, by Jinja's grammar: each function takes what binds as tightly as its name says, or tighter.
extension TemplateParser {
  /// One expression, or several with commas, which are a tuple.
  mutating func tupleOrExpression(withCondition: Bool = true) throws(TemplateError) -> TemplateExpression {
    let line = token.line
    let first = try expression(withCondition: withCondition)
    guard isSymbol(",") else { return .at(line, first) }
    var elements = [first]
    while takeSymbol(",") {
      switch token.kind {
      case .closeExpression, .closeStatement, .symbol(")"): break
      default:
        elements.append(try expression(withCondition: withCondition))
        continue
      }
      break
    }
    return .at(line, .list(elements, isTuple: true))
  }

  mutating func expression(withCondition: Bool = true) throws(TemplateError) -> TemplateExpression {
    try nested { (parser) throws(TemplateError) in
      var result = try parser.disjunction()
      var length = 0
      while withCondition, parser.takeName("if") {
        try parser.lengthen(&length)
        let condition = try parser.disjunction()
        let otherwise = parser.takeName("else") ? try parser.expression() : nil
        result = .conditional(condition: condition, then: result, otherwise: otherwise)
      }
      return result
    }
  }

  private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
    var left = try conjunction()
    var length = 0
    while takeName("or") {
      try lengthen(&length)
      left = .binary("or", left, try conjunction())
    }
    return left
  }

  private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
    var left = try negation()
    var length = 0
    while takeName("and") {
      try lengthen(&length)
      left = .binary("and", left, try negation())
    }
    return left
  }

  private mutating func negation() throws(TemplateError) -> TemplateExpression {
    var count = 0
    while takeName("not") { count += 1 }
    var result = try comparison()
    // Twice is once, but for the type: `not not x` is a Boolean.
    for _ in 0..<(count == 0 ? 0 : 2 - count % 2) { result = .unary("not", result) }
    return result
  }

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let first = try sum()
    var rest: [(symbol: String, operand: TemplateExpression)] = []
    while true {
      if case .symbol(let symbol) = token.kind, ["==", "!=", "<", "<=", ">", ">="].contains(symbol) {
        index += 1
        rest.append((symbol, try sum()))
      } else if takeName("in") {
        rest.append(("in", try sum()))
      } else if isName("not"), isFollowed(byName: "in") {
        index += 2
        rest.append(("not in", try sum()))
      } else {
        return rest.isEmpty ? first : .comparison(first, rest)
      }
    }
  }

  private func isFollowed(byName name: String) -> Bool {
    var next = self
    next.index += 1
    return next.isName(name)
  }

  private mutating func chain(
    _ symbols: [String], _ operand: (inout TemplateParser) throws(TemplateError) -> TemplateExpression
  ) throws(TemplateError) -> TemplateExpression {
    var left = try operand(&self)
    var length = 0
    while case .symbol(let symbol) = token.kind, symbols.contains(symbol) {
      index += 1
      try lengthen(&length)
      left = .binary(symbol, left, try operand(&self))
    }
    return left
  }

  /// Counts an operator of a chain, whose tree leans to the left, as deep as the chain is long.
  private func lengthen(_ length: inout Int) throws(TemplateError) {
    length += 1
    guard length <= 200 else { throw failure("more than 200 operators of one kind in a row") }
  }

  private mutating func sum() throws(TemplateError) -> TemplateExpression {
    try chain(["+", "-"]) { (parser) throws(TemplateError) in
      try parser.chain(["~"]) { (parser) throws(TemplateError) in
        try parser.chain(["*", "/", "//", "%"]) { (parser) throws(TemplateError) in
          try parser.chain(["**"]) { (parser) throws(TemplateError) in try parser.unary() }
        }
      }
    }
  }

  private mutating func unary(withFilters: Bool = true) throws(TemplateError) -> TemplateExpression {
    var result: TemplateExpression
    if isSymbol("-") || isSymbol("+") {
      let symbol = takeSymbol("-") ? "-" : "+"
      if symbol == "+" { index += 1 }
      let operand = try nested { (parser) throws(TemplateError) in try parser.unary(withFilters: false) }
      result = .unary(symbol, operand)
    } else {
      result = try postfix(primary())
    }
    return withFilters ? try filtersAndTests(result) : result
  }

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
    let kind = token.kind
    switch kind {
    case .name(let name):
      index += 1
      switch name {
      case "true", "True": return .literal(.bool(true))
      case "false", "False": return .literal(.bool(false))
      case "none", "None": return .literal(.none)
      default: return .name(name)
      }
    case .string(var text):
      index += 1
      while case .string(let next) = token.kind {
        text += next
        index += 1
      }
      return .literal(.string(text))
    case .int(let value):
      index += 1
      return .literal(.int(value))
    case .double(let value):
      index += 1
      return .literal(.double(value))
    case .symbol("("):
      index += 1
      if takeSymbol(")") { return .list([], isTuple: true) }
      let inner = try tupleOrExpression()
      try expectSymbol(")")
      return inner
    case .symbol("["):
      index += 1
      var elements: [TemplateExpression] = []
      while !takeSymbol("]") {
        if !elements.isEmpty {
          try expectSymbol(",")
          if takeSymbol("]") { break }
        }
        elements.append(try expression())
      }
      return .list(elements, isTuple: false)
    case .symbol("{"):
      index += 1
      var members: [(key: TemplateExpression, value: TemplateExpression)] = []
      while !takeSymbol("}") {
        if !members.isEmpty {
          try expectSymbol(",")
          if takeSymbol("}") { break }
        }
        let key = try expression()
        try expectSymbol(":")
        members.append((key, try expression()))
      }
      return .dictionary(members)
    default: throw failure("expected an expression, found \(found)")
    }
  }

  private mutating func postfix(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var result = start
    var length = 0
    while true {
      length += 1
      guard length <= 200 else { throw failure("more than 200 members and calls in a row") }
      if takeSymbol(".") {
        if case .int(let number) = token.kind {
          index += 1
          result = .item(result, .literal(.int(number)))
        } else {
          result = .attribute(result, try expectName())
        }
      } else if takeSymbol("[") {
        result = try subscripted(result)
      } else if isSymbol("(") {
        let line = token.line
        result = .at(line, .call(result, try arguments()))
      } else {
        return result
      }
    }
  }

  /// What follows `[`.
  private mutating func subscripted(_ base: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    func bound(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateExpression? {
      parser.isSymbol(":") || parser.isSymbol("]") ? nil : try parser.expression()
    }
    let start = try bound(&self)
    guard takeSymbol(":") else {
      guard let start else { throw failure("expected an index, found \(found)") }
      try expectSymbol("]")
      return .item(base, start)
    }
    let end = try bound(&self)
    let step = takeSymbol(":") ? try bound(&self) : nil
    try expectSymbol("]")
    return .slice(base, start: start, end: end, step: step)
  }

  /// Arguments in parentheses.
  mutating func arguments() throws(TemplateError) -> TemplateCall {
    var call = TemplateCall()
    try expectSymbol("(")
    var isFirst = true
    while !takeSymbol(")") {
      if !isFirst {
        try expectSymbol(",")
        if takeSymbol(")") { break }
      }
      isFirst = false
      if case .name(let name) = token.kind {
        var next = self
        next.index += 1
        if next.isSymbol("=") {
          index += 2
          call.named.append((name, try expression()))
          continue
        }
      }
      guard call.named.isEmpty else { throw failure("an argument without a name follows one with a name") }
      call.positional.append(try expression())
    }
    return call
  }

  private mutating func filtersAndTests(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var result = start
    var length = 0
    while true {
      length += 1
      guard length <= 200 else { throw failure("more than 200 filters and tests in a row") }
      let line = token.line
      if takeSymbol("|") {
        let name = try dottedName()
        result = .at(line, .filter(name, result, isSymbol("(") ? try arguments() : TemplateCall()))
      } else if takeName("is") {
        let isNegated = takeName("not")
        let name = try dottedName()
        var call = TemplateCall()
        if isSymbol("(") {
          call = try arguments()
        } else if startsTestArgument {
          call.positional = [try postfix(primary())]
        }
        result = .at(line, .test(name, result, call, isNegated: isNegated))
      } else if isSymbol("("), length > 1 {
        result = .call(result, try arguments())
      } else {
        return result
      }
    }
  }

  /// Whether the next token is a test's argument without parentheses.
  private var startsTestArgument: Bool {
    switch token.kind {
    case .name(let name): !["else", "or", "and", "is", "if", "in", "not", "recursive"].contains(name)
    case .string, .int, .double, .symbol("["), .symbol("{"): true
    default: false
    }
  }

  private mutating func dottedName() throws(TemplateError) -> String {
    var name = try expectName()
    while takeSymbol(".") { name += "." + (try expectName()) }
    return name
  }
}

/// Makes statements of tokens; expressions are in `TemplateParser+Expressions.swift`.
struct TemplateParser {
  private let tokens: [TemplateToken]
  var index = 0
  /// Nested blocks and expressions; a bound keeps hostile nesting from the stack.
  private var depth = 0
  static let depthLimit = 60

  init(_ source: String) throws(TemplateError) { tokens = try TemplateLexer.tokens(of: source) }

  mutating func parse() throws(TemplateError) -> [TemplateNode] {
    let nodes = try block(until: [])
    return nodes
  }

  // MARK: Tokens

  var token: TemplateToken { tokens[index] }

  func failure(_ message: String) -> TemplateError {
    TemplateError(.malformedTemplate, line: token.line, message)
  }

  func isSymbol(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }
  func isName(_ name: String) -> Bool { token.kind == .name(name) }

  mutating func takeSymbol(_ symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    index += 1
    return true
  }

  mutating func takeName(_ name: String) -> Bool {
    guard isName(name) else { return false }
    index += 1
    return true
  }

  mutating func expectSymbol(_ symbol: String) throws(TemplateError) {
    guard takeSymbol(symbol) else { throw failure("expected '\(symbol)', found \(found)") }
  }

  mutating func expectName() throws(TemplateError) -> String {
    guard case .name(let name) = token.kind else { throw failure("expected a name, found \(found)") }
    index += 1
    return name
  }

  var found: String {
    switch token.kind {
    case .text, .openExpression, .openStatement: "text"
    case .closeExpression: "'}}'"
    case .closeStatement: "'%}'"
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .int, .double: "a number"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end of the template"
    }
  }

  mutating func nested<Result>(
    _ body: (inout TemplateParser) throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    depth += 1
    guard depth <= Self.depthLimit else {
      throw TemplateError(
        .exceededLimit, line: token.line, "more than \(Self.depthLimit) nested blocks and expressions")
    }
    let result = try body(&self)
    depth -= 1
    return result
  }

  // MARK: Statements

  /// Nodes up to a statement that begins with one of `names`, whose name is the next token then.
  private mutating func block(until names: [String]) throws(TemplateError) -> [TemplateNode] {
    try nested { (parser) throws(TemplateError) in
      var nodes: [TemplateNode] = []
      while true {
        switch parser.token.kind {
        case .end:
          guard names.isEmpty else { throw parser.failure("expected '\(names[names.count - 1])', found the end") }
          return nodes
        case .text(let text):
          parser.index += 1
          nodes.append(.text(text))
        case .openExpression:
          parser.index += 1
          let expression = try parser.tupleOrExpression()
          guard parser.token.kind == .closeExpression else {
            throw parser.failure("expected '}}', found \(parser.found)")
          }
          parser.index += 1
          nodes.append(.output(expression))
        case .openStatement:
          parser.index += 1
          guard case .name(let name) = parser.token.kind else {
            throw parser.failure("expected a statement, found \(parser.found)")
          }
          if names.contains(name) { return nodes }
          parser.index += 1
          if let node = try parser.statement(name) { nodes += node }
        default: throw parser.failure("unexpected \(parser.found)")
        }
      }
    }
  }

  private mutating func closeStatement() throws(TemplateError) {
    guard token.kind == .closeStatement else { throw failure("expected '%}', found \(found)") }
    index += 1
  }

  /// Takes `endNAME %}`, which ``block(until:)`` stopped at.
  private mutating func close(_ name: String) throws(TemplateError) {
    guard takeName(name) else { throw failure("expected '\(name)', found \(found)") }
    // `endblock` and `endmacro` may repeat a name.
    if case .name = token.kind { index += 1 }
    try closeStatement()
  }

  private mutating func statement(_ name: String) throws(TemplateError) -> [TemplateNode]? {
    switch name {
    case "if": return [try branches()]
    case "for": return [try loop()]
    case "set": return [try assignment()]
    case "macro":
      let name = try expectName()
      return [.macro(try macro(named: name, end: "endmacro"))]
    case "call": return [try callBlock()]
    case "filter":
      let filters = try filterChain()
      try closeStatement()
      let body = try block(until: ["endfilter"])
      try close("endfilter")
      return [.filterBlock(filters, body: body)]
    case "with":
      var values: [(String, TemplateExpression)] = []
      while case .name = token.kind {
        let name = try expectName()
        try expectSymbol("=")
        values.append((name, try expression()))
        if !takeSymbol(",") { break }
      }
      try closeStatement()
      let body = try block(until: ["endwith"])
      try close("endwith")
      return [.with(values.map { (name: $0.0, value: $0.1) }, body: body)]
    case "generation":
      // Marks the answer for training; its text is output as it is.
      try closeStatement()
      let body = try block(until: ["endgeneration"])
      try close("endgeneration")
      return body
    case "break":
      try closeStatement()
      return [.breakLoop]
    case "continue":
      try closeStatement()
      return [.continueLoop]
    default: throw TemplateError(.malformedTemplate, line: token.line, "there is no statement '\(name)' here")
    }
  }

  private mutating func branches() throws(TemplateError) -> TemplateNode {
    var branches: [(condition: TemplateExpression, body: [TemplateNode])] = []
    var otherwise: [TemplateNode] = []
    var condition = try tupleOrExpression()
    while true {
      try closeStatement()
      branches.append((condition, try block(until: ["elif", "else", "endif"])))
      if takeName("elif") {
        condition = try tupleOrExpression()
        continue
      }
      if takeName("else") {
        try closeStatement()
        otherwise = try block(until: ["endif"])
      }
      try close("endif")
      return .branches(branches, otherwise: otherwise)
    }
  }

  private mutating func loop() throws(TemplateError) -> TemplateNode {
    let target = try self.target()
    guard takeName("in") else { throw failure("expected 'in', found \(found)") }
    let sequence = try tupleOrExpression(withCondition: false)
    let condition = takeName("if") ? try expression() : nil
    let isRecursive = takeName("recursive")
    try closeStatement()
    let body = try block(until: ["endfor", "else"])
    var otherwise: [TemplateNode] = []
    if takeName("else") {
      try closeStatement()
      otherwise = try block(until: ["endfor"])
    }
    try close("endfor")
    return .loop(
      TemplateLoop(
        target: target, sequence: sequence, condition: condition, isRecursive: isRecursive, body: body,
        otherwise: otherwise))
  }

  private mutating func target() throws(TemplateError) -> TemplateTarget {
    func single(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateTarget {
      if parser.takeSymbol("(") {
        let inner = try parser.target()
        try parser.expectSymbol(")")
        return inner
      }
      let name = try parser.expectName()
      return parser.takeSymbol(".") ? .member(name, try parser.expectName()) : .name(name)
    }
    let first = try single(&self)
    guard isSymbol(",") else { return first }
    var targets = [first]
    while takeSymbol(",") {
      guard case .name = token.kind, !isName("in") else { break }
      targets.append(try single(&self))
    }
    return .several(targets)
  }

  private mutating func assignment() throws(TemplateError) -> TemplateNode {
    let target = try self.target()
    if takeSymbol("=") {
      let value = try tupleOrExpression()
      try closeStatement()
      return .assign(target, value)
    }
    let filters = takeSymbol("|") ? try filterChain() : []
    try closeStatement()
    let body = try block(until: ["endset"])
    try close("endset")
    return .assignBlock(target, filters: filters, body: body)
  }

  /// Parameters, the body and its end; the name is taken.
  private mutating func macro(named name: String, end: String) throws(TemplateError) -> TemplateMacro {
    let parameters = try parameters()
    try closeStatement()
    let body = try block(until: [end])
    try close(end)
    return TemplateMacro(name: name, parameters: parameters, body: body)
  }

  private mutating func parameters() throws(TemplateError) -> [TemplateParameter] {
    var parameters: [TemplateParameter] = []
    try expectSymbol("(")
    while !takeSymbol(")") {
      if !parameters.isEmpty {
        try expectSymbol(",")
        if takeSymbol(")") { break }
      }
      let name = try expectName()
      parameters.append(TemplateParameter(name: name, absent: takeSymbol("=") ? try expression() : nil))
    }
    return parameters
  }

  private mutating func callBlock() throws(TemplateError) -> TemplateNode {
    let parameters = isSymbol("(") ? try parameters() : []
    let call = try expression()
    try closeStatement()
    let body = try block(until: ["endcall"])
    try close("endcall")
    return .callBlock(call, TemplateMacro(name: "caller", parameters: parameters, body: body))
  }

  /// Filters without a value before them, the first not after a bar.
  private mutating func filterChain() throws(TemplateError) -> [(name: String, call: TemplateCall)] {
    var filters: [(name: String, call: TemplateCall)] = []
    repeat {
      let name = try expectName()
      filters.append((name, isSymbol("(") ? try arguments() : TemplateCall()))
    } while takeSymbol("|")
    return filters
  }
}

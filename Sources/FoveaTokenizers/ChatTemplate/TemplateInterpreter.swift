#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Names and their values; an inner scope sees what the outer ones hold. Used by the one thread that renders: hence
/// `@unchecked Sendable`.
final class TemplateScope: @unchecked Sendable {
  private var values: [String: TemplateValue] = [:]
  private let parent: TemplateScope?

  init(parent: TemplateScope? = nil) { self.parent = parent }

  subscript(_ name: String) -> TemplateValue? {
    get { values[name] ?? parent?[name] }
    set { values[name] = newValue }
  }

  func removeAll() { values.removeAll() }
}

/// Walks a template's nodes. Everything that a template can do costs steps or bytes, and both are bounded.
public final class TemplateInterpreter {
  /// What a template may use up: far more than any honest one, and little enough to end within a second.
  private enum Limit {
    static let steps = 1_000_000
    /// Of all texts and lists that are made.
    static let byteCount = 40 << 20
    static let depth = 100
    /// Of values in each other: to show or free one calls as deep.
    static let valueDepth = 100
    /// Of the processor's time, should steps cost more than they ought to.
    static let nanoseconds: UInt64 = 700_000_000
    static let stepsBetweenClocks = 256
  }

  private enum Flow {
    case normal, broken, continued
  }

  private var stepCount = 0
  private var byteCount = 0
  private var depth = 0
  /// The line of the expression that is evaluated, for errors.
  private var line: Int?
  private var output = ""
  private let startTime = processorTime()
  private var stepsToClock = Limit.stepsBetweenClocks
  /// What can hold itself, directly or not: macros hold the scope that holds them.
  private var scopes: [TemplateScope] = []
  private var namespaces: [TemplateNamespace] = []

  /// The rendered text.
  static func render(_ nodes: [TemplateNode], scope: TemplateScope) throws -> String {
    let interpreter = TemplateInterpreter()
    defer { interpreter.release() }
    _ = try interpreter.run(nodes, scope)
    return interpreter.output
  }

  /// Empties what would else hold itself, or be freed in calls as deep as it is nested.
  private func release() {
    for scope in scopes { scope.removeAll() }
    for namespace in namespaces { namespace.members = TemplateDictionary() }
  }

  /// A new namespace.
  func makeNamespace(_ members: TemplateDictionary) throws -> TemplateValue {
    try take(bytes: 128)
    let namespace = TemplateNamespace(members)
    namespaces.append(namespace)
    return .namespace(namespace)
  }

  // MARK: Bounds and errors

  func failure(_ message: String) -> TemplateError { TemplateError(.failedRendering, line: line, message) }

  /// Counts work.
  func step(_ count: Int = 1) throws {
    stepCount += count
    guard stepCount <= Limit.steps else {
      throw TemplateError(.exceededLimit, line: line, "needs more than \(Limit.steps) steps")
    }
    stepsToClock -= 1
    guard stepsToClock <= 0 else { return }
    stepsToClock = Limit.stepsBetweenClocks
    guard processorTime() &- startTime <= Limit.nanoseconds else {
      throw TemplateError(.exceededLimit, line: line, "needs more than \(Limit.nanoseconds / 1_000_000) ms")
    }
  }

  /// Checks what is kept under a name.
  private func checkDepth(of value: TemplateValue) throws {
    guard value.depth <= Limit.valueDepth else {
      throw TemplateError(.exceededLimit, line: line, "more than \(Limit.valueDepth) values in each other")
    }
  }

  /// Counts memory, before it is taken.
  func take(bytes: Int) throws {
    let (sum, overflows) = byteCount.addingReportingOverflow(bytes)
    guard !overflows, bytes >= 0, sum <= Limit.byteCount else {
      throw TemplateError(.exceededLimit, line: line, "needs more than \(Limit.byteCount >> 20) MiB of texts and lists")
    }
    byteCount = sum
    try step(bytes >> 8)
  }

  private func nested<Result>(_ body: () throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Limit.depth else {
      throw TemplateError(.exceededLimit, line: line, "more than \(Limit.depth) nested calls and expressions")
    }
    return try body()
  }

  private func write(_ text: String) throws {
    try take(bytes: text.utf8.count)
    output += text
  }

  /// What `body` writes, as a text of its own.
  private func captured(_ body: () throws -> Void) throws -> String {
    let outer = output
    output = ""
    defer { output = outer }
    try body()
    return output
  }

  // MARK: Statements

  private func run(_ nodes: [TemplateNode], _ scope: TemplateScope) throws -> Flow {
    try nested {
      for node in nodes {
        try step()
        let flow = try run(node, scope)
        if flow != .normal { return flow }
      }
      return .normal
    }
  }

  private func run(_ node: TemplateNode, _ scope: TemplateScope) throws -> Flow {
    switch node {
    case .text(let text): try write(text)
    case .output(let expression): try write(try text(of: try evaluate(expression, scope)))
    case .branches(let branches, let otherwise):
      for (condition, body) in branches where try evaluate(condition, scope).isTrue { return try run(body, scope) }
      return try run(otherwise, scope)
    case .loop(let loop): try runLoop(loop, scope)
    case .assign(let target, let expression): try assign(try evaluate(expression, scope), to: target, scope)
    case .assignBlock(let target, let filters, let body):
      var value = TemplateValue.string(try captured { _ = try run(body, TemplateScope(parent: scope)) })
      for (name, call) in filters { value = try applyFilter(name, to: value, try arguments(call, scope)) }
      try assign(value, to: target, scope)
    case .macro(let macro):
      scopes.append(scope)
      scope[macro.name] = function(macro, scope)
    case .callBlock(let expression, let macro):
      let caller = function(macro, scope)
      try write(try text(of: try evaluateCall(expression, scope, caller: caller)))
    case .filterBlock(let filters, let body):
      var value = TemplateValue.string(try captured { _ = try run(body, TemplateScope(parent: scope)) })
      for (name, call) in filters { value = try applyFilter(name, to: value, try arguments(call, scope)) }
      try write(try text(of: value))
    case .with(let values, let body):
      let inner = TemplateScope(parent: scope)
      for (name, value) in values { try assign(try evaluate(value, scope), to: .name(name), inner) }
      return try run(body, inner)
    case .breakLoop: return .broken
    case .continueLoop: return .continued
    }
    return .normal
  }

  private func runLoop(_ loop: TemplateLoop, _ scope: TemplateScope) throws {
    guard !loop.isRecursive else { throw failure("recursive loops are not built") }
    var items = try elements(of: try evaluate(loop.sequence, scope))
    if let condition = loop.condition {
      items = try items.filter { item in
        try step()
        let inner = TemplateScope(parent: scope)
        try assign(item, to: loop.target, inner)
        return try evaluate(condition, inner).isTrue
      }
    }
    for (index, item) in items.enumerated() {
      try step()
      // What a pass assigns is gone in the next.
      let inner = TemplateScope(parent: scope)
      inner["loop"] = Self.loopValue(items, index)
      try assign(item, to: loop.target, inner)
      if try run(loop.body, inner) == .broken { break }
    }
    if items.isEmpty { _ = try run(loop.otherwise, TemplateScope(parent: scope)) }
  }

  private static func loopValue(_ items: [TemplateValue], _ index: Int) -> TemplateValue {
    let count = items.count
    let cycle = TemplateFunction(name: "cycle") { arguments, interpreter in
      guard !arguments.positional.isEmpty else { throw interpreter.failure("'cycle' needs a value") }
      return arguments.positional[index % arguments.positional.count]
    }
    return .dictionary(
      TemplateDictionary(distinct: [
        ("index", .int(index + 1)), ("index0", .int(index)), ("first", .bool(index == 0)),
        ("last", .bool(index == count - 1)), ("length", .int(count)), ("revindex", .int(count - index)),
        ("revindex0", .int(count - index - 1)), ("depth", .int(1)), ("depth0", .int(0)),
        ("previtem", index > 0 ? items[index - 1] : .undefined("there is no previous item")),
        ("nextitem", index + 1 < count ? items[index + 1] : .undefined("there is no next item")),
        ("cycle", .function(cycle)),
      ]))
  }

  private func assign(_ value: TemplateValue, to target: TemplateTarget, _ scope: TemplateScope) throws {
    try checkDepth(of: value)
    switch target {
    case .name(let name): scope[name] = value
    case .member(let name, let member):
      guard case .namespace(let namespace)? = scope[name] else {
        throw failure("'\(name).\(member)' cannot be set: only members of a namespace can")
      }
      try take(bytes: 64)
      namespace.members[member] = value
    case .several(let targets):
      let elements = try elements(of: value)
      guard elements.count == targets.count else {
        throw failure("\(elements.count) values cannot be given to \(targets.count) names")
      }
      for (target, element) in zip(targets, elements) { try assign(element, to: target, scope) }
    }
  }

  /// A macro with the scope in which it stands.
  private func function(_ macro: TemplateMacro, _ scope: TemplateScope) -> TemplateValue {
    .function(
      TemplateFunction(name: macro.name) { arguments, interpreter in
        try interpreter.call(macro, scope, arguments)
      })
  }

  private func call(_ macro: TemplateMacro, _ scope: TemplateScope, _ arguments: TemplateArguments) throws
    -> TemplateValue
  {
    let inner = TemplateScope(parent: scope)
    guard arguments.positional.count <= macro.parameters.count else {
      throw failure("'\(macro.name)' takes \(macro.parameters.count) arguments, found \(arguments.positional.count)")
    }
    for (index, parameter) in macro.parameters.enumerated() {
      if let value = arguments.value(index, parameter.name) {
        try checkDepth(of: value)
        inner[parameter.name] = value
      } else if let absent = parameter.absent {
        inner[parameter.name] = try evaluate(absent, inner)
      } else {
        inner[parameter.name] = .undefined("'\(parameter.name)' was not given")
      }
    }
    for (name, value) in arguments.named where !macro.parameters.contains(where: { $0.name == name }) {
      guard name == "caller" else { throw failure("'\(macro.name)' has no parameter '\(name)'") }
      inner["caller"] = value
    }
    return .string(try captured { _ = try run(macro.body, inner) })
  }

  // MARK: Expressions

  func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws -> TemplateValue {
    try step()
    switch expression {
    case .literal(let value): return value
    case .name(let name): return scope[name] ?? .undefined("'\(name)' is undefined")
    case .at(let line, let inner):
      self.line = line
      return try evaluate(inner, scope)
    default: return try nested { try evaluateCompound(expression, scope) }
    }
  }

  private func evaluateCompound(_ expression: TemplateExpression, _ scope: TemplateScope) throws -> TemplateValue {
    switch expression {
    case .literal, .name, .at: return try evaluate(expression, scope)
    case .list(let elements, let isTuple):
      let values = try elements.map { try evaluate($0, scope) }
      return isTuple ? .tuple(values) : .list(values)
    case .dictionary(let members):
      var dictionary = TemplateDictionary()
      for (key, value) in members {
        let key = try evaluate(key, scope)
        guard key.isKey else { throw failure("a key of a dictionary must be a text or number, found \(key.typeName)") }
        try stepForSearch(of: key, in: dictionary)
        dictionary[key] = try evaluate(value, scope)
      }
      return .dictionary(dictionary)
    case .attribute(let base, let name): return try attribute(name, of: try evaluate(base, scope))
    case .item(let base, let key): return try item(try evaluate(key, scope), of: try evaluate(base, scope))
    case .slice(let base, let start, let end, let step):
      func bound(_ expression: TemplateExpression?) throws -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression, scope)
        if case .none = value { return nil }
        guard let integer = value.integer else { throw failure("a slice needs integers, found \(value.typeName)") }
        return integer
      }
      return try slice(try evaluate(base, scope), try bound(start), try bound(end), try bound(step))
    case .call: return try evaluateCall(expression, scope, caller: nil)
    case .filter(let name, let base, let call):
      return try applyFilter(name, to: try evaluate(base, scope), try arguments(call, scope))
    case .test(let name, let base, let call, let isNegated):
      return .bool(try applyTest(name, to: try evaluate(base, scope), try arguments(call, scope)) != isNegated)
    case .unary(let symbol, let operand):
      let value = try evaluate(operand, scope)
      switch (symbol, value) {
      case ("not", _): return .bool(!value.isTrue)
      case ("-", .int(let number)) where number != .min: return .int(-number)
      case ("-", .double(let number)): return .double(-number)
      case ("+", .int), ("+", .double): return value
      default: throw failure("'\(symbol)' cannot be applied to \(describe(value))")
      }
    case .binary("and", let left, let right):
      let value = try evaluate(left, scope)
      return value.isTrue ? try evaluate(right, scope) : value
    case .binary("or", let left, let right):
      let value = try evaluate(left, scope)
      return value.isTrue ? value : try evaluate(right, scope)
    case .binary(let symbol, let left, let right):
      return try calculate(symbol, try evaluate(left, scope), try evaluate(right, scope))
    case .comparison(let first, let rest):
      var left = try evaluate(first, scope)
      for (symbol, operand) in rest {
        let right = try evaluate(operand, scope)
        guard try compare(symbol, left, right) else { return .bool(false) }
        left = right
      }
      return .bool(true)
    case .conditional(let condition, let then, let otherwise):
      if try evaluate(condition, scope).isTrue { return try evaluate(then, scope) }
      guard let otherwise else { return .undefined("the condition is false and there is no 'else'") }
      return try evaluate(otherwise, scope)
    }
  }

  private func evaluateCall(
    _ expression: TemplateExpression, _ scope: TemplateScope, caller: TemplateValue?
  ) throws -> TemplateValue {
    if case .at(let line, let inner) = expression {
      self.line = line
      return try evaluateCall(inner, scope, caller: caller)
    }
    guard case .call(let callee, let call) = expression else { throw failure("'call' needs a call") }
    let value = try evaluate(callee, scope)
    guard case .function(let function) = value else { throw failure("\(describe(value)) cannot be called") }
    var arguments = try arguments(call, scope)
    if let caller { arguments.named.append(("caller", caller)) }
    return try nested { try function.body(arguments, self) }
  }

  private func arguments(_ call: TemplateCall, _ scope: TemplateScope) throws -> TemplateArguments {
    TemplateArguments(
      positional: try call.positional.map { try evaluate($0, scope) },
      named: try call.named.map { ($0.name, try evaluate($0.value, scope)) })
  }

  /// A value in an error.
  func describe(_ value: TemplateValue) -> String {
    if case .undefined(let reason) = value { return "an undefined value (\(reason))" }
    return "a value of type \(value.typeName)"
  }
}

/// The time that this thread has had a processor for, in nanoseconds.
private func processorTime() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// An expression of a template.
indirect enum TemplateExpression: Sendable {
  case literal(TemplateValue)
  case name(String)
  case list([TemplateExpression], isTuple: Bool)
  case dictionary([(key: TemplateExpression, value: TemplateExpression)])
  case attribute(TemplateExpression, String)
  case item(TemplateExpression, TemplateExpression)
  case slice(TemplateExpression, start: TemplateExpression?, end: TemplateExpression?, step: TemplateExpression?)
  case call(TemplateExpression, TemplateCall)
  case filter(String, TemplateExpression, TemplateCall)
  case test(String, TemplateExpression, TemplateCall, isNegated: Bool)
  case unary(String, TemplateExpression)
  case binary(String, TemplateExpression, TemplateExpression)
  /// A first operand and comparisons in a chain.
  case comparison(TemplateExpression, [(symbol: String, operand: TemplateExpression)])
  case conditional(condition: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
  /// An expression of another line than the one around it, for errors.
  case at(Int, TemplateExpression)
}

/// The arguments of a call, filter or test.
struct TemplateCall: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
}

/// What an assignment or loop gives a value to.
indirect enum TemplateTarget: Sendable {
  case name(String)
  /// A member of a namespace.
  case member(String, String)
  case several([TemplateTarget])
}

/// A macro's parameter.
struct TemplateParameter: Sendable {
  let name: String
  let absent: TemplateExpression?
}

/// A statement of a template, or text.
indirect enum TemplateNode: Sendable {
  case text(String)
  case output(TemplateExpression)
  case branches([(condition: TemplateExpression, body: [TemplateNode])], otherwise: [TemplateNode])
  case loop(TemplateLoop)
  case assign(TemplateTarget, TemplateExpression)
  case assignBlock(TemplateTarget, filters: [(name: String, call: TemplateCall)], body: [TemplateNode])
  case macro(TemplateMacro)
  case callBlock(TemplateExpression, TemplateMacro)
  case filterBlock([(name: String, call: TemplateCall)], body: [TemplateNode])
  case with([(name: String, value: TemplateExpression)], body: [TemplateNode])
  case breakLoop
  case continueLoop
}

struct TemplateLoop: Sendable {
  let target: TemplateTarget
  let sequence: TemplateExpression
  let condition: TemplateExpression?
  let isRecursive: Bool
  let body: [TemplateNode]
  let otherwise: [TemplateNode]
}

struct TemplateMacro: Sendable {
  let name: String
  let parameters: [TemplateParameter]
  let body: [TemplateNode]
}

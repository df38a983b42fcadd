extension TemplateInterpreter {
  func applyTest(_ name: String, to value: TemplateValue, _ arguments: TemplateArguments) throws -> Bool {
    func argument() throws -> TemplateValue {
      guard let value = arguments.positional.first else { throw failure("the test '\(name)' needs a value") }
      return value
    }
    func integer(_ value: TemplateValue) throws -> Int {
      guard let integer = value.integer else { throw failure("the test '\(name)' needs an integer") }
      return integer
    }
    switch (name, value) {
    case ("defined", .undefined), ("undefined", .undefined): return name == "undefined"
    case ("defined", _), ("undefined", _): return name == "defined"
    case ("none", .none), ("boolean", .bool), ("integer", .int), ("float", .double), ("string", .string),
      ("mapping", .dictionary), ("callable", .function), ("sequence", .list), ("sequence", .tuple),
      ("sequence", .string), ("sequence", .dictionary), ("iterable", .list), ("iterable", .tuple),
      ("iterable", .string), ("iterable", .dictionary), ("iterable", .undefined), ("sequence", .undefined):
      return true
    case ("none", _), ("boolean", _), ("integer", _), ("float", _), ("string", _), ("mapping", _), ("callable", _),
      ("sequence", _), ("iterable", _):
      return false
    case ("number", _): return value.number != nil
    case ("true", .bool(let flag)): return flag
    case ("false", .bool(let flag)): return !flag
    case ("true", _), ("false", _): return false
    case ("odd", _): return try integer(value) % 2 != 0
    case ("even", _): return try integer(value) % 2 == 0
    case ("divisibleby", _):
      let divisor = try integer(try argument())
      guard divisor != 0 else { throw failure("division by zero") }
      return try integer(value).isMultiple(of: divisor)
    case ("equalto", _), ("eq", _): return try equal(value, try argument())
    case ("ne", _): return try !equal(value, try argument())
    case ("lt", _), ("lessthan", _): return try ordered(value, try argument()) < 0
    case ("le", _): return try ordered(value, try argument()) <= 0
    case ("gt", _), ("greaterthan", _): return try ordered(value, try argument()) > 0
    case ("ge", _): return try ordered(value, try argument()) >= 0
    case ("in", _): return try contains(try argument(), value)
    case ("sameas", _):
      let other = try argument()
      return try value.typeName == other.typeName && equal(value, other)
    case ("lower", .string(let text)): return text.isIdentical(to: text.lowercased())
    case ("upper", .string(let text)): return text.isIdentical(to: text.uppercased())
    default: throw failure("there is no test '\(name)' for \(describe(value))")
    }
  }
}

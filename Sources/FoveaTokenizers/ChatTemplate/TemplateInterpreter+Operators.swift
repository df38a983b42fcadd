#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension TemplateInterpreter {
  /// The items that a loop runs over: elements, keys, or the scalars of a text.
  func elements(of value: TemplateValue) throws -> [TemplateValue] {
    switch value {
    case .list, .tuple:
      return value.elements ?? []
    case .dictionary(let dictionary):
      try take(bytes: 16 * dictionary.members.count)
      return dictionary.members.map(\.key)
    case .string(let text):
      try take(bytes: 32 * text.utf8.count)
      return text.unicodeScalars.map { .string(String($0)) }
    case .undefined: return []
    default: throw failure("a value of type \(value.typeName) has no elements")
    }
  }

  func item(_ key: TemplateValue, of base: TemplateValue) throws -> TemplateValue {
    switch (base, key) {
    case (.undefined(let reason), _): throw failure(reason)
    case (.list(let elements), _), (.tuple(let elements), _):
      guard let index = key.integer else { break }
      let position = index < 0 ? index + elements.count : index
      return elements.indices.contains(position) ? elements[position] : .undefined("there is no element \(index)")
    case (.string(let text), _):
      guard let index = key.integer else { break }
      try step(text.utf8.count >> 4)
      let scalars = text.unicodeScalars
      let count = index < 0 ? scalars.count : 0
      let position = index < 0 ? index + count : index
      guard position >= 0,
        let found = scalars.index(scalars.startIndex, offsetBy: position, limitedBy: scalars.endIndex),
        found < scalars.endIndex
      else { return .undefined("there is no character \(index)") }
      return .string(String(scalars[found]))
    case (.dictionary(let dictionary), _):
      try stepForSearch(of: key, in: dictionary)
      if let value = dictionary[key] { return value }
      return .undefined("'dict object' has no attribute '\(try text(of: key))'")
    case (.namespace(let namespace), .string(let name)):
      return namespace.members[name] ?? .undefined("the namespace has no member '\(name)'")
    default: break
    }
    if case .string(let name) = key { return try attribute(name, of: base) }
    return .undefined("\(describe(base)) has no element of type \(key.typeName)")
  }

  /// Python's slices.
  func slice(_ base: TemplateValue, _ start: Int?, _ end: Int?, _ step: Int?) throws -> TemplateValue {
    let step = step ?? 1
    guard step != 0 else { throw failure("the step of a slice must not be zero") }
    func indices(_ count: Int) -> [Int] {
      func clamp(_ bound: Int, _ low: Int, _ high: Int) -> Int {
        min(max(bound < 0 ? bound + count : bound, low), high)
      }
      let first = start.map { clamp($0, step > 0 ? 0 : -1, step > 0 ? count : count - 1) } ?? (step > 0 ? 0 : count - 1)
      let last = end.map { clamp($0, step > 0 ? 0 : -1, step > 0 ? count : count - 1) } ?? (step > 0 ? count : -1)
      return Array(stride(from: first, to: last, by: step))
    }
    switch base {
    case .list(let elements), .tuple(let elements):
      try take(bytes: 16 * elements.count)
      let taken = indices(elements.count).map { elements[$0] }
      if case .tuple = base { return .tuple(taken) }
      return .list(taken)
    case .string(let text):
      try take(bytes: 5 * text.utf8.count)
      let scalars = Array(text.unicodeScalars)
      var result = String.UnicodeScalarView()
      for index in indices(scalars.count) { result.append(scalars[index]) }
      return .string(String(result))
    case .undefined(let reason): throw failure(reason)
    default: throw failure("a value of type \(base.typeName) cannot be sliced")
    }
  }

  func calculate(_ symbol: String, _ left: TemplateValue, _ right: TemplateValue) throws -> TemplateValue {
    switch (symbol, left, right) {
    case ("~", _, _):
      let (first, second) = (try text(of: left), try text(of: right))
      try take(bytes: first.utf8.count + second.utf8.count)
      return .string(first + second)
    case ("+", .string(let first), .string(let second)):
      try take(bytes: first.utf8.count + second.utf8.count)
      return .string(first + second)
    case ("+", .list(let first), .list(let second)):
      try take(bytes: 16 * (first.count + second.count))
      return .list(Array(first) + second)
    case ("+", .tuple(let first), .tuple(let second)):
      try take(bytes: 16 * (first.count + second.count))
      return .tuple(Array(first) + second)
    case ("*", .string(let text), .int(let count)), ("*", .int(let count), .string(let text)):
      let (bytes, overflows) = text.utf8.count.multipliedReportingOverflow(by: max(0, count))
      try take(bytes: overflows ? .max : bytes)
      return .string(String(repeating: text, count: text.isEmpty ? 0 : max(0, count)))
    case ("*", .list(let elements), .int(let count)), ("*", .int(let count), .list(let elements)):
      let (total, overflows) = (16 * elements.count).multipliedReportingOverflow(by: max(0, count))
      try take(bytes: overflows ? .max : total)
      return .list((0..<(elements.isEmpty ? 0 : max(0, count))).flatMap { _ in Array(elements) })
    case ("%", .string(let format), _): return .string(try formatted(format, right.asTuple))
    default: break
    }
    if let first = left.integer, let second = right.integer, symbol != "/" {
      if let result = try integerResult(symbol, first, second) { return .int(result) }
    }
    guard let first = left.number, let second = right.number else {
      let culprit = left.number == nil ? left : right
      throw failure(
        "'\(symbol)' cannot be applied to \(describe(culprit)) and \(describe(culprit.number == nil && left.number == nil ? right : left))"
      )
    }
    switch symbol {
    case "+": return .double(first + second)
    case "-": return .double(first - second)
    case "*": return .double(first * second)
    case "**":
      let result = pow(first, second)
      guard result.isFinite || !first.isFinite || !second.isFinite else { throw failure("'**' gives too much") }
      return .double(result)
    case "/", "//", "%":
      guard second != 0 else { throw failure("division by zero") }
      if symbol == "/" { return .double(first / second) }
      let quotient = (first / second).rounded(.down)
      return .double(symbol == "//" ? quotient : first - quotient * second)
    default: throw failure("there is no operator '\(symbol)'")
    }
  }

  /// Nil where the result is no integer.
  private func integerResult(_ symbol: String, _ first: Int, _ second: Int) throws -> Int? {
    func checked(_ result: (partialValue: Int, overflow: Bool)) throws -> Int {
      guard !result.overflow else { throw failure("'\(symbol)' gives a number beyond 64 bits") }
      return result.partialValue
    }
    switch symbol {
    case "+": return try checked(first.addingReportingOverflow(second))
    case "-": return try checked(first.subtractingReportingOverflow(second))
    case "*": return try checked(first.multipliedReportingOverflow(by: second))
    case "//", "%":
      guard second != 0 else { throw failure("division by zero") }
      let quotient = try checked(first.dividedReportingOverflow(by: second))
      let remainder = first.remainderReportingOverflow(dividingBy: second).partialValue
      // Python rounds down.
      let isBelow = remainder != 0 && (remainder < 0) != (second < 0)
      return symbol == "//" ? (isBelow ? quotient - 1 : quotient) : (isBelow ? remainder + second : remainder)
    case "**":
      guard second >= 0 else { return nil }
      var result = 1
      for _ in 0..<min(second, 64) { result = try checked(result.multipliedReportingOverflow(by: first)) }
      guard second <= 64 || (-1...1).contains(first) else { throw failure("'**' gives a number beyond 64 bits") }
      return second > 64 && first == -1 && second % 2 == 1 ? -1 : result
    default: return nil
    }
  }

  func compare(_ symbol: String, _ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
    switch symbol {
    case "==": return try equal(left, right)
    case "!=": return try !equal(left, right)
    case "in": return try contains(right, left)
    case "not in": return try !contains(right, left)
    default:
      let order = try ordered(left, right)
      switch symbol {
      case "<": return order < 0
      case "<=": return order <= 0
      case ">": return order > 0
      default: return order >= 0
      }
    }
  }

  /// Python's `==`, counted: lists that hold each other twice have more elements than memory.
  func equal(_ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
    try step()
    switch (left, right) {
    case (.undefined, .undefined): return true
    case (.string(let first), .string(let second)):
      guard first.utf8.count == second.utf8.count else { return false }
      try step(first.utf8.count >> 8)
      return first.isIdentical(to: second)
    case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
      guard first.count == second.count else { return false }
      return try zip(first, second).allSatisfy { try equal($0, $1) }
    case (.dictionary(let first), .dictionary(let second)):
      guard first.members.count == second.members.count else { return false }
      return try first.members.allSatisfy { member in
        try stepForSearch(of: member.key, in: second)
        return try second[member.key].map { try equal(member.value, $0) } ?? false
      }
    case (.namespace(let first), .namespace(let second)): return first === second
    default: return left.isSameKey(as: right)
    }
  }

  /// Counts the work of looking for a key.
  func stepForSearch(of key: TemplateValue, in dictionary: TemplateDictionary) throws {
    let keyLength = if case .string(let text) = key { text.utf8.count } else { 0 }
    try step((dictionary.members.count * (1 + keyLength >> 7)) >> 3)
  }

  /// Below, at or above zero as the first is less than, equal to or greater than the second.
  func ordered(_ left: TemplateValue, _ right: TemplateValue) throws -> Int {
    try step()
    if let first = left.number, let second = right.number { return first < second ? -1 : first > second ? 1 : 0 }
    if case (.string(let first), .string(let second)) = (left, right) {
      try step(min(first.utf8.count, second.utf8.count) >> 7)
      // The order of UTF-8 is that of scalars.
      if first.isIdentical(to: second) { return 0 }
      return first.utf8.lexicographicallyPrecedes(second.utf8) ? -1 : 1
    }
    if let first = left.elements, let second = right.elements {
      for (a, b) in zip(first, second) {
        let order = try ordered(a, b)
        if order != 0 { return order }
      }
      return first.count - second.count
    }
    throw failure("\(describe(left)) and \(describe(right)) have no order")
  }

  func contains(_ container: TemplateValue, _ wanted: TemplateValue) throws -> Bool {
    switch container {
    case .list(let elements), .tuple(let elements):
      return try elements.contains { try equal($0, wanted) }
    case .dictionary(let dictionary):
      try stepForSearch(of: wanted, in: dictionary)
      return dictionary[wanted] != nil
    case .string(let text):
      guard case .string(let part) = wanted else { throw failure("'in' a text needs a text, found \(wanted.typeName)") }
      return try firstRange(of: part, in: text) != nil
    case .undefined: return false
    default: throw failure("'in' needs a list, dictionary or text, found \(container.typeName)")
    }
  }

  /// The first place of `part` in the bytes of `text` from `start` on.
  func firstRange(of part: String, in text: String, from start: Int = 0) throws -> Range<Int>? {
    if part.isEmpty { return start..<start }
    return try firstRange(of: Array(part.utf8), in: Array(text.utf8), from: start)
  }

  /// The first place of `part`, which is not empty, in `bytes` from `start` on.
  func firstRange(of part: [UInt8], in bytes: [UInt8], from start: Int) throws -> Range<Int>? {
    guard let head = part.first, start + part.count <= bytes.count else { return nil }
    var compared = 0
    for index in start...(bytes.count - part.count) where bytes[index] == head {
      var length = 1
      while length < part.count, bytes[index + length] == part[length] { length += 1 }
      compared += length
      if compared > 1 << 12 {
        try step(compared >> 6)
        compared = 0
      }
      if length == part.count { return index..<index + length }
    }
    return nil
  }
}

extension TemplateValue {
  /// The values of a format: a tuple's elements, or the value alone.
  var asTuple: [TemplateValue] {
    if case .tuple(let list) = self { return Array(list) }
    return [self]
  }
}

extension TemplateDictionary {
  /// Members whose keys are known to differ.
  init(distinct members: [(String, TemplateValue)]) {
    self.init()
    for (key, value) in members { append(key, value) }
  }
}

/// A value in a template, with Python's behaviour.
///
/// Texts are sequences of Unicode scalars, as in Python; dictionaries keep the order of their keys.
public indirect enum TemplateValue: Sendable {
  /// What a name stands for that nothing is known of; the text says which, for errors.
  case undefined(String)
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case list(TemplateList)
  case tuple(TemplateList)
  case dictionary(TemplateDictionary)
  /// A function of the template or of the environment, or a method with its object.
  case function(TemplateFunction)
  /// What `namespace()` makes: the only thing that a template can change.
  case namespace(TemplateNamespace)
}

/// The elements of a list or tuple.
public struct TemplateList: Sendable, RandomAccessCollection, ExpressibleByArrayLiteral {
  fileprivate let elements: [TemplateValue]
  /// One more than the depth of the deepest element.
  let depth: Int

  /// A list of `elements`.
  public init(_ elements: [TemplateValue]) {
    self.elements = elements
    depth = 1 + elements.reduce(0) { Swift.max($0, $1.depth) }
  }

  /// A list of the elements of a literal.
  public init(arrayLiteral elements: TemplateValue...) { self.init(elements) }

  /// Always 0.
  public var startIndex: Int { 0 }
  /// The number of elements.
  public var endIndex: Int { elements.count }
  /// The element at `index`.
  public subscript(index: Int) -> TemplateValue { elements[index] }
}

/// Keys and values in the order in which they were added.
public struct TemplateDictionary: Sendable {
  /// The members in order; keys are texts or numbers.
  public private(set) var members: [(key: TemplateValue, value: TemplateValue)] = []
  /// One more than the depth of the deepest value that was ever in it.
  private(set) var depth = 1

  /// An empty dictionary.
  public init() {}

  /// The members of a literal; a key that comes twice has the last value.
  public init(_ members: [(key: String, value: TemplateValue)]) {
    for (key, value) in members { self[key] = value }
  }

  /// Adds a member whose key is not there yet.
  mutating func append(_ key: String, _ value: TemplateValue) {
    members.append((.string(key), value))
    depth = max(depth, 1 + value.depth)
  }

  /// The value of a text; nil removes nothing and adds nothing.
  public subscript(_ key: String) -> TemplateValue? {
    get { self[.string(key)] }
    set { self[.string(key)] = newValue }
  }

  /// The value of a key; nil removes nothing and adds nothing.
  public subscript(_ key: TemplateValue) -> TemplateValue? {
    get { members.first { $0.key.isSameKey(as: key) }?.value }
    set {
      guard let newValue else { return }
      depth = max(depth, 1 + newValue.depth)
      if let index = members.firstIndex(where: { $0.key.isSameKey(as: key) }) {
        members[index].value = newValue
      } else {
        members.append((key, newValue))
      }
    }
  }
}

extension String {
  /// Whether both are the same scalars: Swift's `==` takes canonically equivalent texts for equal.
  func isIdentical(to other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// Members that a template may set. Used by the one thread that renders: hence `@unchecked Sendable`.
public final class TemplateNamespace: @unchecked Sendable {
  var members: TemplateDictionary

  init(_ members: TemplateDictionary) { self.members = members }
}

/// Something that a template may call.
public struct TemplateFunction: Sendable {
  let name: String
  /// One more than the depth of the object of a method.
  var depth = 1
  let body: @Sendable (TemplateArguments, TemplateInterpreter) throws -> TemplateValue
}

/// The arguments of a call.
struct TemplateArguments: Sendable {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []

  /// The argument at `index`, or called `name`.
  func value(_ index: Int, _ name: String) -> TemplateValue? {
    index < positional.count ? positional[index] : named.first { $0.name == name }?.value
  }
}

extension TemplateValue {
  /// A list of `elements`.
  package static func list(_ elements: [TemplateValue]) -> TemplateValue { .list(TemplateList(elements)) }

  /// A tuple of `elements`.
  static func tuple(_ elements: [TemplateValue]) -> TemplateValue { .tuple(TemplateList(elements)) }

  /// How deeply values lie in each other: 0 for those that hold none. A namespace counts as one that holds none, since
  /// the interpreter holds it by itself.
  var depth: Int {
    switch self {
    case .list(let elements), .tuple(let elements): elements.depth
    case .dictionary(let dictionary): dictionary.depth
    case .function(let function): function.depth
    default: 0
    }
  }

  /// Python's `bool()`.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .double(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let elements), .tuple(let elements): !elements.isEmpty
    case .dictionary(let dictionary): !dictionary.members.isEmpty
    case .function, .namespace: true
    }
  }

  /// The type as Python calls it, for errors.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .int: "int"
    case .double: "float"
    case .string: "str"
    case .list: "list"
    case .tuple: "tuple"
    case .dictionary: "dict"
    case .function: "function"
    case .namespace: "Namespace"
    }
  }

  /// The number that takes part in arithmetic; Booleans are 0 and 1.
  var number: Double? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// The integer that a count or index is.
  var integer: Int? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .int(let value): value
    default: nil
    }
  }

  /// The elements of a list or tuple.
  package var elements: [TemplateValue]? {
    switch self {
    case .list(let list), .tuple(let list): list.elements
    default: nil
    }
  }

  /// Whether this may be a key of a dictionary.
  var isKey: Bool {
    switch self {
    case .string, .int, .double, .bool, .none: true
    default: false
    }
  }

  /// Python's `==` of keys, which hold no other values.
  func isSameKey(as other: TemplateValue) -> Bool {
    switch (self, other) {
    case (.none, .none): return true
    case (.string(let left), .string(let right)): return left.isIdentical(to: right)
    case (.int(let left), .int(let right)): return left == right
    default:
      guard let left = number, let right = other.number else { return false }
      return left == right
    }
  }
}

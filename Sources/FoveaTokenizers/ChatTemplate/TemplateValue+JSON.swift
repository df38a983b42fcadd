package import FoveaCore

extension TemplateValue {
  /// Parses JSON; objects keep the order of their keys.
  ///
  /// - Throws: `JSONError` with the place of the culprit.
  package init(parsing bytes: [UInt8]) throws(JSONError) {
    var scanner = JSONScanner(bytes)
    self = try scanner.templateValue()
    try scanner.expectEnd()
  }
}

extension JSONScanner {
  package mutating func templateValue() throws(JSONError) -> TemplateValue {
    switch try nextValueKind() {
    case .object:
      var dictionary = TemplateDictionary()
      var isFirst = true
      try enterObject()
      while let key = try nextKey(&isFirst) { dictionary[key] = try templateValue() }
      return .dictionary(dictionary)
    case .array:
      var elements: [TemplateValue] = []
      var isFirst = true
      try enterArray()
      while try nextElement(&isFirst) { elements.append(try templateValue()) }
      return .list(elements)
    case .string: return .string(try string())
    case .number:
      let text = try number()
      if let integer = Int(text) { return .int(integer) }
      return .double(Double(text) ?? .nan)
    case .literal: return try literal().map { .bool($0) } ?? .none
    }
  }
}

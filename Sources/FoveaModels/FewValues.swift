/// A few values, of which the first needs no memory of its own: most phases of a token have one, and an allocation there
/// is what all threads wait for.
struct FewValues<Value>: Sequence {
  private var first: Value?
  private var others: [Value] = []

  var isEmpty: Bool { first == nil }

  mutating func append(_ value: Value) {
    if first == nil { first = value } else { others.append(value) }
  }

  struct Iterator: IteratorProtocol {
    fileprivate let values: FewValues
    private var index = -1

    fileprivate init(_ values: FewValues) {
      self.values = values
    }

    mutating func next() -> Value? {
      defer { index += 1 }
      if index < 0 { return values.first }
      return index < values.others.count ? values.others[index] : nil
    }
  }

  func makeIterator() -> Iterator { Iterator(self) }
}

/// A string that is equal to another only where their UTF-8 bytes are.
///
/// Swift's own equality follows Unicode's canonical equivalence, by which two pieces of a vocabulary, é in one and in two
/// code points, would be one.
struct ExactString: Hashable, Sendable {
  let text: String

  init(_ text: String) {
    self.text = text
  }

  static func == (first: ExactString, second: ExactString) -> Bool {
    first.text.utf8.elementsEqual(second.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

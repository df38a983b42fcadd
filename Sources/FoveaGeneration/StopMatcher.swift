/// Finds stop strings in a text that comes in pieces, and holds back what may be the beginning of one.
///
/// The bytes of the text are compared as they are, without Unicode normalisation. The match is the one that is complete
/// first, and the longest of those that end together; it does not depend on how the text is cut into pieces.
public struct StopMatcher: Sendable {
  /// What ``append(_:)`` found.
  public struct Output: Sendable, Equatable {
    /// Text that is certain to come before any stop string.
    public let text: String
    /// The stop string that ended the text, or nil while it goes on.
    public let stopString: String?

    package init(text: String, stopString: String?) {
      self.text = text
      self.stopString = stopString
    }
  }

  private var patterns: [Pattern]
  private var held: [UInt8] = []
  private var isStopped = false

  /// Looks for any of `stopStrings`; none lets every text through.
  ///
  /// - Throws: ``GenerationError/invalidOption(name:value:expected:)`` for an empty string.
  public init(stopStrings: [String]) throws(GenerationError) {
    for string in stopStrings {
      try require("stopStrings", "\"\(string)\"", !string.isEmpty, "strings that are not empty")
    }
    patterns = stopStrings.map(Pattern.init)
  }

  /// Takes the next piece. After a stop string was found, everything is swallowed.
  public mutating func append(_ piece: String) -> Output {
    guard !isStopped else { return Output(text: "", stopString: nil) }
    guard !patterns.isEmpty else { return Output(text: piece, stopString: nil) }
    for byte in piece.utf8 {
      held.append(byte)
      var found: Pattern?
      for index in patterns.indices where patterns[index].advance(byte) {
        if patterns[index].bytes.count > found?.bytes.count ?? 0 { found = patterns[index] }
      }
      if let found {
        isStopped = true
        held.removeLast(found.bytes.count)
        return Output(text: release(held.count), stopString: found.string)
      }
    }
    // A stop string is whole characters, so what may begin one begins at a character.
    let possible = patterns.map(\.matchedCount).max() ?? 0
    return Output(text: release(held.count - possible), stopString: nil)
  }

  /// Ends the text: what was held back was no stop string.
  public mutating func finish() -> String {
    isStopped ? "" : release(held.count)
  }

  private mutating func release(_ byteCount: Int) -> String {
    let text = String(decoding: held.prefix(byteCount), as: UTF8.self)
    held.removeFirst(byteCount)
    return text
  }
}

/// One stop string in the automaton of Knuth, Morris and Pratt.
private struct Pattern: Sendable {
  let string: String
  let bytes: [UInt8]
  /// For each count of matched bytes, the longest shorter match that ends at the same byte.
  private let fallbacks: [Int]
  /// How many bytes of the pattern the text ends with.
  private(set) var matchedCount = 0

  init(_ string: String) {
    self.string = string
    bytes = Array(string.utf8)
    var fallbacks = [0, 0]
    for index in 1..<max(1, bytes.count) {
      var count = fallbacks[index]
      while count > 0, bytes[count] != bytes[index] { count = fallbacks[count] }
      fallbacks.append(bytes[count] == bytes[index] ? count + 1 : 0)
    }
    self.fallbacks = fallbacks
  }

  /// Takes the next byte of the text; true if the pattern ends there.
  mutating func advance(_ byte: UInt8) -> Bool {
    while matchedCount > 0, bytes[matchedCount] != byte { matchedCount = fallbacks[matchedCount] }
    if bytes[matchedCount] == byte { matchedCount += 1 }
    return matchedCount == bytes.count
  }
}

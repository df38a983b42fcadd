/// How long a text is in units that do not depend on the tokenizer.
public struct TextSize: Sendable, Equatable {
  /// UTF-8 bytes.
  public var byteCount: Int
  /// Words as lm-eval counts them: the pieces that Python's `re.split(r"\s+", text)` gives, empty ones at either end
  /// included.
  public var wordCount: Int

  /// Sizes that were counted elsewhere.
  public init(byteCount: Int, wordCount: Int) {
    self.byteCount = byteCount
    self.wordCount = wordCount
  }

  /// The size of `text`.
  public init(_ text: String) {
    byteCount = text.utf8.count
    var runCount = 0
    var isInside = false
    for scalar in text.unicodeScalars {
      let isSpace = TextSize.isPythonSpace(scalar)
      if isSpace, !isInside { runCount += 1 }
      isInside = isSpace
    }
    wordCount = runCount + 1
  }

  /// Python's `str.isspace`: Unicode's white space, and the four separators of ASCII.
  static func isPythonSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || ("\u{1C}"..."\u{1F}").contains(scalar)
  }

  static func + (first: TextSize, second: TextSize) -> TextSize {
    TextSize(byteCount: first.byteCount + second.byteCount, wordCount: first.wordCount + second.wordCount)
  }
}

/// What an evaluation reads: documents, each evaluated for itself.
public struct EvaluationText: Sendable, Equatable {
  /// The tokens of each document.
  public var documents: [[Int]]
  /// The size of the original text; nil where only tokens are known.
  public var size: TextSize?
  /// The token to put before a text, or in the place of a chunk's first one; nil for none.
  public var beginningOfTextToken: Int?

  /// Documents with their sizes added up.
  public init(documents: [[Int]], size: TextSize?, beginningOfTextToken: Int?) {
    self.documents = documents
    self.size = size
    self.beginningOfTextToken = beginningOfTextToken
  }
}

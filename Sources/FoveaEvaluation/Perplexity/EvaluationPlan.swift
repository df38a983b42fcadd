public import FoveaModels

/// One piece of a text that is evaluated at once.
public struct EvaluationWindow: Sendable, Equatable {
  /// Which document it is cut from.
  public let document: Int
  /// The tokens of the document that it holds.
  public let range: Range<Int>
  /// A token before them, or in the place of the first one.
  let leadingToken: Int?
  let leadingTokenReplacesFirst: Bool
  /// The document's tokens that are scored: the end of `range`, each after what precedes it in the window.
  public let scored: Range<Int>
  /// Whether it goes on where the one before it ends, with the cache that one left; otherwise the cache is empty.
  public let continuesPrevious: Bool

  init(
    document: Int, range: Range<Int>, scored: Range<Int>, leadingToken: Int? = nil,
    leadingTokenReplacesFirst: Bool = false, continuesPrevious: Bool = false
  ) {
    self.document = document
    self.range = range
    self.scored = scored
    self.leadingToken = leadingToken
    self.leadingTokenReplacesFirst = leadingTokenReplacesFirst
    self.continuesPrevious = continuesPrevious
  }
}

/// The windows of a text under one method, in order.
public struct EvaluationPlan: Sendable {
  /// How the windows were cut.
  public let method: PerplexityMethod
  /// The most tokens that a prediction follows: those of a window, or of the cache.
  public let contextLength: Int
  /// What the cache keeps from window to window; for ``PerplexityMethod/streaming`` only.
  public let cachePolicy: CachePolicy?
  /// How far windows move; for ``PerplexityMethod/strided`` only.
  public let stride: Int?
  /// What is evaluated. Chunks are cut from all documents joined, which are then one.
  public let text: EvaluationText
  /// The windows, those without a scored token left out.
  public let windows: [EvaluationWindow]
  /// Whether every token of the text but a beginning-of-text token is scored, so that figures a word and a byte make
  /// sense.
  public let coversText: Bool

  /// Cuts `text` into windows.
  ///
  /// - Parameters:
  ///   - contextLength: tokens of a window; nil takes 512 for chunks, else the model's limit.
  ///   - cachePolicy: a bounded cache, for ``PerplexityMethod/streaming`` only; nil takes StreamingLLM's of 1024 tokens.
  ///   - stride: nil takes half of the context length.
  ///   - windowLimit: only the first so many windows; nil for all.
  ///   - modelContextLength: the model's limit.
  /// - Throws: ``EvaluationError`` about an option, or about a text with nothing to score.
  public init(
    _ method: PerplexityMethod, text: EvaluationText, contextLength: Int? = nil, stride: Int? = nil,
    cachePolicy: CachePolicy? = nil, windowLimit: Int? = nil, modelContextLength: Int
  ) throws(EvaluationError) {
    let policy = try Self.policy(
      method, cachePolicy, contextLength: contextLength, modelContextLength: modelContextLength)
    let length =
      policy?.bound?.maxSize ?? contextLength
      ?? (method == .chunked ? min(512, modelContextLength) : modelContextLength)
    let smallest = method == .chunked ? 4 : method == .streaming ? 1 : 2
    guard length >= smallest, length <= modelContextLength else {
      throw EvaluationError(
        .invalidOption,
        "the \(policy == nil ? "context length" : "size of the cache") is \(length), expected \(smallest) to "
          + "\(modelContextLength), the model's limit")
    }
    guard stride == nil || method == .strided else {
      throw EvaluationError(.invalidOption, "a stride goes with the method strided only")
    }
    let step = stride ?? max(1, length / 2)
    guard step >= 1, step <= length else {
      throw EvaluationError(
        .invalidOption, "the stride is \(step), expected 1 to \(length): a longer one would leave tokens out")
    }
    var text = text
    if method == .chunked, text.documents.count > 1 { text.documents = [Array(text.documents.joined())] }
    let cutter = WindowCutter(length: length, stride: step, leadingToken: text.beginningOfTextToken)
    var windows: [EvaluationWindow] = []
    for (index, tokens) in text.documents.enumerated() { windows += cutter.windows(method, document: index, tokens) }
    windows.removeAll { $0.scored.isEmpty }
    if let windowLimit, windows.count > windowLimit { windows.removeSubrange(windowLimit...) }
    guard !windows.isEmpty else {
      let tokenCount = text.documents.reduce(0) { $0 + $1.count }
      throw EvaluationError(
        .textTooShort,
        "the text has \(tokenCount) tokens, too few for the method \(method.rawValue)"
          + (method == .chunked ? " with a context length of \(length)" : ""))
    }
    let scoredCount = windows.reduce(0) { $0 + $1.scored.count }
    let wantedCount = text.documents.reduce(0) { count, tokens in
      count + tokens.count - (tokens.first != nil && tokens.first == text.beginningOfTextToken ? 1 : 0)
    }
    self.method = method
    self.contextLength = length
    self.cachePolicy = policy
    self.stride = method == .strided ? step : nil
    self.windows = windows
    coversText = scoredCount >= wantedCount
    self.text = text
  }

  private static func policy(
    _ method: PerplexityMethod, _ policy: CachePolicy?, contextLength: Int?, modelContextLength: Int
  ) throws(EvaluationError) -> CachePolicy? {
    guard method == .streaming else {
      guard policy == nil else {
        throw EvaluationError(.invalidOption, "a cache of bounded size goes with the method streaming only")
      }
      return nil
    }
    guard contextLength == nil else {
      throw EvaluationError(.invalidOption, "the method streaming has no windows: give the size of its cache instead")
    }
    let policy =
      policy
      ?? .streaming(
        maxSize: min(CachePolicy.defaultMaxSize, modelContextLength), sinkTokens: CachePolicy.defaultSinkTokens)
    guard policy.bound != nil else {
      throw EvaluationError(.invalidOption, "the method streaming needs a cache of bounded size")
    }
    return policy
  }

  /// The tokens of a window, and the index among them of the first that is scored, at least 1.
  public func tokens(of window: EvaluationWindow) -> (tokens: [Int], firstScored: Int) {
    var tokens = Array(text.documents[window.document][window.range])
    if let leading = window.leadingToken {
      if window.leadingTokenReplacesFirst { tokens[0] = leading } else { tokens.insert(leading, at: 0) }
    }
    return (tokens, tokens.count - window.scored.count)
  }

  /// Tokens that a window puts through the model: all but its last, whose successor nobody asks for.
  public func evaluatedTokenCount(of window: EvaluationWindow) -> Int {
    window.range.count + (window.leadingToken != nil && !window.leadingTokenReplacesFirst ? 1 : 0) - 1
  }
}

/// The rules of the methods for one document.
private struct WindowCutter {
  let length: Int
  let stride: Int
  let leadingToken: Int?

  func windows(_ method: PerplexityMethod, document: Int, _ tokens: [Int]) -> [EvaluationWindow] {
    switch method {
    case .chunked: chunks(document, tokens.count)
    case .strided: stridedWindows(document, tokens.count)
    case .rolling: rollingWindows(document, tokens.count)
    case .streaming: pieces(document, tokens.count, begins: tokens.first == leadingToken)
    }
  }

  /// Position j of a chunk, from n/2 to n − 2, predicts token j + 1.
  private func chunks(_ document: Int, _ tokenCount: Int) -> [EvaluationWindow] {
    (0..<tokenCount / length).map { index in
      let range = index * length..<(index + 1) * length
      return EvaluationWindow(
        document: document, range: range, scored: range.lowerBound + length / 2 + 1..<range.upperBound,
        leadingToken: leadingToken, leadingTokenReplacesFirst: leadingToken != nil)
    }
  }

  private func stridedWindows(_ document: Int, _ tokenCount: Int) -> [EvaluationWindow] {
    var windows: [EvaluationWindow] = []
    var begin = 0
    var previousEnd = 0
    while previousEnd < tokenCount {
      let end = min(begin + length, tokenCount)
      windows.append(
        EvaluationWindow(document: document, range: begin..<end, scored: max(previousEnd, begin + 1)..<end))
      previousEnd = end
      begin += stride
    }
    return windows
  }

  /// lm-eval's `get_rolling_token_windows` with a context of 1, and `make_disjoint_window`: `length` tokens go in, and
  /// so many are scored, the one after the last of them included.
  private func rollingWindows(_ document: Int, _ tokenCount: Int) -> [EvaluationWindow] {
    guard tokenCount > 0 else { return [] }
    let first = 0..<min(length, tokenCount)
    // Without any token to begin with, the first one of the text can only be a condition.
    let scored = leadingToken == nil ? 1..<max(1, first.upperBound) : first
    var windows = [EvaluationWindow(document: document, range: first, scored: scored, leadingToken: leadingToken)]
    var predicted = first.upperBound
    while predicted < tokenCount {
      let end = min(predicted + length, tokenCount)
      windows.append(EvaluationWindow(document: document, range: end - length - 1..<end, scored: predicted..<end))
      predicted = end
    }
    return windows
  }
  /// Every token follows those before it, as far as the cache keeps them; pieces matter to nothing but progress. The text
  /// follows the token that is asked for, unless it `begins` with it.
  private func pieces(_ document: Int, _ tokenCount: Int, begins: Bool) -> [EvaluationWindow] {
    let leading = begins ? nil : leadingToken
    return Swift.stride(from: 0, to: tokenCount, by: Self.pieceLength).map { first in
      let end = min(first + Self.pieceLength, tokenCount)
      guard first > 0 else {
        return EvaluationWindow(
          document: document, range: 0..<end, scored: (leading == nil ? 1 : 0)..<end, leadingToken: leading)
      }
      return EvaluationWindow(
        document: document, range: first - 1..<end, scored: first..<end, continuesPrevious: true)
    }
  }

  /// As many as a model evaluates together.
  private static let pieceLength = 512
}

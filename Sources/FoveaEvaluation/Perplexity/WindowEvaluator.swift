public import FoveaCore
public import FoveaModels

/// Some rows of a window's logits as they come.
public struct ScoredBlock {
  /// Which window of the plan.
  public let window: Int
  /// The tokens of the window.
  public let tokens: [Int]
  /// After which of them the logits are.
  public let rows: Range<Int>
  /// Float32 `[rows.count, vocabularySize]`; valid during the call that shows them only.
  public let logits: Tensor
  /// The negative log-likelihoods of the tokens that follow, in nats.
  public let losses: [Double]

  /// The tokens that follow.
  public var targets: ArraySlice<Int> { tokens[rows.lowerBound + 1..<rows.upperBound + 1] }
}

/// Evaluates the windows of a plan: each from an empty cache, short ones together; or one after another, where they
/// continue each other.
///
/// One cache serves all windows. It is used only inside operations of the model's stream, which run one at a time: hence
/// `@unchecked Sendable`.
public final class WindowEvaluator: @unchecked Sendable {
  /// What is evaluated.
  public let plan: EvaluationPlan
  /// The model that predicts.
  public let model: DecoderModel
  private var cache: KeyValueCache
  /// The window that goes on from what the cache holds.
  package private(set) var nextWindow: Int?

  /// Tokens that are evaluated together if windows are short: matrix products run at full speed from there on.
  static let groupTokenCount = 512

  /// Looks at a part of a window.
  public typealias Observer = (ScoredBlock) throws -> Void

  /// Prepares to evaluate `plan`.
  ///
  /// - Throws: ``EvaluationError`` if a token is not in the vocabulary, ``ModelError`` for a cache that the model cannot
  ///   have.
  public init(model: DecoderModel, plan: EvaluationPlan) throws {
    for tokens in plan.text.documents { try model.checkVocabulary(tokens) }
    self.plan = plan
    self.model = model
    cache = try model.makeCache(plan.cachePolicy ?? .contiguous)
  }

  /// How many of `windows`, from the first on, are worth evaluating together: as many as have ``groupTokenCount`` tokens,
  /// but at least one.
  public func groupSize(of windows: ArraySlice<Int>) -> Int {
    guard plan.cachePolicy == nil else { return min(1, windows.count) }
    var tokenCount = 0
    let group = windows.prefix { index in
      tokenCount += plan.evaluatedTokenCount(of: plan.windows[index])
      return tokenCount <= Self.groupTokenCount
    }
    return max(1, group.count)
  }

  /// The negative log-likelihoods, in nats, of the scored tokens of each of `windows`, which are evaluated together: the
  /// same bits as alone.
  ///
  /// - Parameter observe: is shown the logits, block by block, inside the model's operation.
  /// - Throws: ``ModelError`` if a token is not in the vocabulary; what `observe` throws.
  public func losses(ofWindows windows: [Int], observe: Observer? = nil) throws -> [[Double]] {
    let contents = windows.map { plan.tokens(of: plan.windows[$0]) }
    var result = [[Double]](repeating: [], count: windows.count)
    func add(_ place: Int, _ rows: Range<Int>, _ logits: Tensor) throws {
      let tokens = contents[place].tokens
      let targets = tokens[rows.lowerBound + 1..<rows.upperBound + 1]
      let losses = model.negativeLogLikelihoods(logits: logits, targets: targets)
      try observe?(ScoredBlock(window: windows[place], tokens: tokens, rows: rows, logits: logits, losses: losses))
      result[place] += losses
    }
    try model.stream.run {
      if plan.cachePolicy != nil || contents.count == 1 {
        for (place, content) in contents.enumerated() {
          try prepareCache(for: windows[place])
          try model.evaluate(content.tokens.dropLast(), cache: cache, logitsFrom: content.firstScored - 1) {
            try add(place, $0, $1)
          }
          nextWindow = windows[place] + 1
        }
      } else {
        try model.evaluate(
          contents.map { $0.tokens.dropLast() }, logitsFrom: contents.map { $0.firstScored - 1 }, consume: add)
      }
    }
    return result
  }

  /// Brings the cache to where a window begins: what comes before it is evaluated again if another window came last.
  private func prepareCache(for index: Int) throws {
    var first = index
    while first != nextWindow, plan.windows[first].continuesPrevious { first -= 1 }
    if first != nextWindow || !plan.windows[first].continuesPrevious { cache.reset() }
    // Whatever goes wrong from here on, nothing is known of what the cache holds.
    nextWindow = nil
    for window in plan.windows[first..<index] {
      _ = try model.evaluate(plan.tokens(of: window).tokens.dropLast(), cache: cache, logits: .none)
    }
  }

  // MARK: From run to run

  /// Saves the cache that the next window goes on with.
  ///
  /// - Throws: errors of the file.
  func saveCache(to path: String) throws {
    try model.stream.run { try model.saveCache(cache, to: path) }
  }

  /// Takes the cache that ``saveCache(to:)`` left in a file if it is the one that window `index` goes on with; without,
  /// what comes before the window is evaluated again.
  func restoreCache(from path: String, before index: Int) {
    guard plan.windows.indices.contains(index), plan.windows[index].continuesPrevious,
      let saved = try? model.stream.run({ try model.loadCache(from: path) }), saved.policy == cache.policy
    else { return }
    var first = index
    while plan.windows[first].continuesPrevious { first -= 1 }
    let leading = plan.windows[first].leadingToken.map { [$0] } ?? []
    let window = plan.windows[index]
    let text = leading + plan.text.documents[window.document][..<window.range.lowerBound]
    // It may be one window ahead, if the run was killed between the writing of both files.
    guard saved.length == text.count, saved.sharedLength(with: text) == text.count else { return }
    cache = saved
    nextWindow = index
  }
}

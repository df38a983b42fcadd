internal import FoveaCore
internal import FoveaModels

/// One of several runs that share the windows of a plan.
public struct Shard: Sendable, Equatable {
  /// Which part, from 1 to `count`.
  public let number: Int
  /// How many parts.
  public let count: Int

  /// Part `number` of `count`; nil unless 1 ≤ number ≤ count.
  public init?(number: Int, count: Int) {
    guard number >= 1, number <= count else { return nil }
    self.number = number
    self.count = count
  }

  /// Windows are dealt out in turn, so that parts take about the same time.
  public func contains(_ windowIndex: Int) -> Bool { windowIndex % count == number - 1 }
}

/// How far an evaluation has come, and of what: enough to go on with it, or to add it to others.
public struct EvaluationState: Sendable, Equatable {
  /// What the results depend on, by name: model, text, method, options. A state serves only the same setup.
  public let setup: [String: String]
  /// How many windows the whole evaluation has.
  public let windowCount: Int
  /// Which of them are this part's; nil for all.
  public let shard: Shard?
  /// The size of the text, if all of it is scored.
  public let textSize: TextSize?
  /// The windows done, in the order in which they were.
  public internal(set) var results: [WindowResult] = []
  /// How long the file of single tokens was when the last result was added; nil if none is written.
  public internal(set) var perTokenByteCount: Int?

  /// A state before the first window.
  public init(setup: [String: String], windowCount: Int, shard: Shard? = nil, textSize: TextSize?) {
    self.setup = setup
    self.windowCount = windowCount
    self.shard = shard
    self.textSize = textSize
  }

  /// Adds a result, with the length of the file of single tokens after it.
  public mutating func add(_ result: WindowResult, perTokenByteCount: Int? = nil) {
    results.append(result)
    self.perTokenByteCount = perTokenByteCount
  }

  /// The windows of this part.
  public var windowIndices: [Int] { (0..<windowCount).filter { shard?.contains($0) ?? true } }

  /// The windows of this part that are still to be done, in order.
  public var pendingWindowIndices: [Int] {
    let done = Set(results.map(\.index))
    return windowIndices.filter { !done.contains($0) }
  }

  /// The figures of what is done; the words and bytes of the text count only when all of it is.
  public var figures: PerplexityFigures {
    PerplexityFigures(results, textSize: results.count == windowCount ? textSize : nil)
  }

  /// What the results of a plan depend on.
  ///
  /// Bits differ between instruction sets, so a state of another one is refused rather than mixed in.
  public static func setup(of evaluator: WindowEvaluator, modelFingerprint: String) -> [String: String] {
    let plan = evaluator.plan
    var text = Checksum()
    for tokens in plan.text.documents { text.add(tokens) }
    text.add([plan.text.beginningOfTextToken ?? -1, plan.windows.count])
    var setup = [
      "model": modelFingerprint, "text": text.text, "method": plan.method.rawValue,
      "context length": String(plan.contextLength), "stride": plan.stride.map(String.init) ?? "none",
      "precision": evaluator.model.precision.rawValue,
      "instruction set": evaluator.model.stream.instructionSet.name,
    ]
    if let policy = plan.cachePolicy, let bound = policy.bound {
      setup["cache"] = policy.name
      setup["sink tokens"] = String(bound.sinkTokens)
    }
    return setup
  }

  /// Checks that this state, read from `file`, is one of the evaluation that `other` begins.
  ///
  /// - Throws: ``EvaluationError`` of kind `foreignFile` that names what differs.
  public func checkBelongs(to other: EvaluationState, file: String) throws(EvaluationError) {
    func foreign(_ name: String, _ found: String?, _ wanted: String?) -> EvaluationError {
      EvaluationError(
        .foreignFile, file: file,
        "is of another evaluation: its \(name) is \(found ?? "not given"), this one's \(wanted ?? "not given")")
    }
    for name in Set(setup.keys).union(other.setup.keys).sorted() where setup[name] != other.setup[name] {
      throw foreign(name, setup[name], other.setup[name])
    }
    guard windowCount == other.windowCount, textSize == other.textSize else {
      throw foreign("number of windows", String(windowCount), String(other.windowCount))
    }
  }

  /// Joins the parts of one evaluation, whatever their order.
  ///
  /// - Throws: ``EvaluationError`` if a part is of another evaluation, a window is missing, or in two parts.
  public static func merged(
    _ parts: [(file: String, state: EvaluationState)]
  ) throws(EvaluationError) -> EvaluationState {
    guard let first = parts.first else { throw EvaluationError(.incompleteParts, "there is nothing to merge") }
    var whole = EvaluationState(
      setup: first.state.setup, windowCount: first.state.windowCount, textSize: first.state.textSize)
    var owners: [Int: String] = [:]
    for (file, state) in parts {
      try state.checkBelongs(to: whole, file: file)
      for result in state.results {
        if let owner = owners.updateValue(file, forKey: result.index) {
          throw EvaluationError(
            .incompleteParts, file: file, "has window \(result.index), which \(printable(owner)) has too")
        }
        whole.results.append(result)
      }
    }
    if let missing = whole.pendingWindowIndices.first {
      throw EvaluationError(
        .incompleteParts,
        "of \(whole.windowCount) windows \(whole.results.count) are there; window \(missing) is the first one missing")
    }
    whole.results.sort { $0.index < $1.index }
    return whole
  }
}

/// Goes through the windows of an evaluation, or of one part of it, and keeps its state in a file.
///
/// Killed at any moment and started again with the same file, it ends with the same bits: each window's result depends on
/// that window alone, or on the text up to its end, and results are added in the order of the windows.
public struct EvaluationRun {
  /// Where an evaluation's state is kept.
  public struct StateFile: Sendable {
    /// The file, which is replaced at once.
    public var path: String
    /// How long to compute before it is written again; zero writes it after every window, or several short
    /// ones that are evaluated together.
    public var interval: Duration

    /// A state that is written every second, which costs a thousandth of the time; a fiftieth at most with a cache.
    public init(_ path: String, interval: Duration = .seconds(1)) {
      self.path = path
      self.interval = interval
    }

    /// What the next window goes on with, where windows continue each other: beside the state, and replaced before it.
    var cachePath: String { path + ".cache" }
  }

  /// How far the evaluation is.
  public private(set) var state: EvaluationState
  /// How many windows were taken from the state file.
  public let resumedWindowCount: Int
  /// Tokens that went through the model in this run, and how long that took.
  public private(set) var evaluatedTokenCount = 0
  /// The time that windows took in this run.
  public private(set) var duration = Duration.zero

  private let evaluator: WindowEvaluator
  private let stateFile: StateFile?
  private let perTokenFile: PerTokenFile?

  /// Begins an evaluation, or goes on with the one in `stateFile`.
  ///
  /// - Parameters:
  ///   - modelFingerprint: see `modelFingerprint(folder:)`.
  ///   - perTokenPath: a file for every single token's loss.
  /// - Throws: ``EvaluationError`` if the state is of another evaluation or damaged, or a file cannot be written.
  public init(
    _ evaluator: WindowEvaluator, modelFingerprint: String, shard: Shard? = nil, stateFile: StateFile? = nil,
    perTokenPath: String? = nil
  ) throws(EvaluationError) {
    let plan = evaluator.plan
    guard shard == nil || plan.cachePolicy == nil else {
      throw EvaluationError(
        .invalidOption, "the method streaming goes through a text in order: it cannot be divided into parts")
    }
    var state = EvaluationState(
      setup: EvaluationState.setup(of: evaluator, modelFingerprint: modelFingerprint),
      windowCount: plan.windows.count, shard: shard, textSize: plan.coversText ? plan.text.size : nil)
    if let stateFile, let saved = try EvaluationState.read(stateFile.path) {
      try saved.checkBelongs(to: state, file: stateFile.path)
      guard saved.shard == shard else {
        throw EvaluationError(
          .foreignFile, file: stateFile.path,
          "is of \(saved.shard.map { "part \($0.number) of \($0.count)" } ?? "a whole evaluation"), not of "
            + (shard.map { "part \($0.number) of \($0.count)" } ?? "a whole one"))
      }
      guard (saved.perTokenByteCount != nil) == (perTokenPath != nil) || saved.results.isEmpty else {
        throw EvaluationError(
          .foreignFile, file: stateFile.path,
          "is of an evaluation \(perTokenPath == nil ? "with" : "without") a file of single tokens")
      }
      state = saved
    }
    resumedWindowCount = state.results.count
    perTokenFile =
      if let perTokenPath { try PerTokenFile(perTokenPath, continuingAfter: state.perTokenByteCount) } else { nil }
    self.evaluator = evaluator
    self.stateFile = stateFile
    self.state = state
    if let stateFile, let next = state.pendingWindowIndices.first {
      evaluator.restoreCache(from: stateFile.cachePath, before: next)
    }
  }

  /// Evaluates the windows that are left.
  ///
  /// - Parameters:
  ///   - observe: is shown the logits of the scored tokens.
  ///   - shouldGoOn: is asked after each window, or several short ones; if it says no, the state is saved and the rest is left for another run.
  /// - Throws: what the model and `observe` throw, and ``EvaluationError`` if a file cannot be written.
  public mutating func run(
    observe: WindowEvaluator.Observer? = nil, shouldGoOn: (EvaluationRun) throws -> Bool = { _ in true }
  ) throws {
    let clock = ContinuousClock()
    var nextSave = clock.now + (stateFile?.interval ?? .zero)
    var isSaved = false
    var pending = state.pendingWindowIndices[...]
    while !pending.isEmpty {
      let start = clock.now
      let group = Array(pending.prefix(evaluator.groupSize(of: pending)))
      pending.removeFirst(group.count)
      for (index, losses) in zip(group, try evaluator.losses(ofWindows: group, observe: observe)) {
        let window = evaluator.plan.windows[index]
        try perTokenFile?.append(window, tokens: evaluator.plan.tokens(of: window).tokens, losses: losses)
        state.add(
          WindowResult(index: index, window: window, losses: losses), perTokenByteCount: perTokenFile?.byteCount)
        evaluatedTokenCount += evaluator.plan.evaluatedTokenCount(of: window)
      }
      isSaved = false
      if let stateFile, clock.now >= nextSave {
        let start = clock.now
        try save()
        let rest = evaluator.plan.cachePolicy == nil ? .zero : (clock.now - start) * 50
        nextSave = clock.now + max(stateFile.interval, rest)
        isSaved = true
      }
      duration += clock.now - start
      if try !shouldGoOn(self) { break }
    }
    if !isSaved { try save() }
    if let stateFile, state.pendingWindowIndices.isEmpty { removeFile(stateFile.cachePath) }
  }

  private func save() throws {
    guard let stateFile else { return }
    if evaluator.plan.cachePolicy != nil, !state.pendingWindowIndices.isEmpty {
      try evaluator.saveCache(to: stateFile.cachePath)
    }
    try perTokenFile?.synchronize()
    try state.write(to: stateFile.path)
  }
}

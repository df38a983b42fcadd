public import ArgumentParser
public import Fovea

/// `fovea perplexity`: how well a model predicts a text.
struct PerplexityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "perplexity", abstract: "Measure how well a model predicts a text.",
    discussion: """
      The methods cut a text into windows as llama.cpp (chunked), Hugging Face's example (strided) and lm-eval (rolling) \
      do; chunked joins the documents of --jsonl. Streaming takes a text of any length through a cache of a fixed size, in \
      pieces of 512 tokens, with the result of evaluation token by token. With --state, a run that was ended at any \
      moment goes on where it was (streaming, with the cache that it keeps in a file beside the state) \
      and ends with the same figures; with --shard, parts can run on several machines, whose states --merge adds up.
      """)

  @OptionGroup var text: EvaluationTextOptions

  @Option(help: "How the text is cut into windows.")
  var method: PerplexityMethod = .chunked

  @Option(
    help: ArgumentHelp("Tokens of a window (default: 512 for chunked, else the model's context).", valueName: "n"))
  var contextLength: Int?

  @Option(
    help: ArgumentHelp("How far strided windows move (default: half of the context length).", valueName: "n"))
  var stride: Int?

  @OptionGroup var caching: StreamingOptions

  @Option(help: ArgumentHelp("Evaluate only the first windows.", valueName: "n"))
  var chunks: Int?

  @Option(help: ArgumentHelp("Write each scored token's loss to a file, tab-separated.", valueName: "path"))
  var perToken: String?

  @Option(help: ArgumentHelp("Keep the state in a file, and go on from what it holds.", valueName: "path"))
  var state: String?

  @Option(help: ArgumentHelp("Seconds between two writings of the state.", valueName: "s"))
  var stateInterval: Double = 1

  @Option(help: ArgumentHelp("Evaluate part i of n into --state.", valueName: "i/n"))
  var shard: Shard?

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Add up the states of all parts instead.", valueName: "path"))
  var merge: [String] = []

  @OptionGroup var plotting: PlotOptions
  @OptionGroup var comparison: ComparisonOptions
  @OptionGroup var cacheFormat: CacheFormatOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard chunks ?? 1 >= 1 else { throw ValidationError("--chunks is \(chunks ?? 0), expected at least 1") }
    guard stateInterval >= 0 else { throw ValidationError("--state-interval is \(stateInterval), expected at least 0") }
    guard shard == nil || state != nil else {
      throw ValidationError("--shard needs --state, the file for the part's sums")
    }
    guard merge.isEmpty || (!hasText && state == nil) else {
      throw ValidationError("--merge reads states only: give neither a text nor --state")
    }
    guard state == nil || !comparison.needsPredictions else {
      throw ValidationError("--state holds sums only: give it without --compare and --save-logits")
    }
    guard !merge.isEmpty || hasText || plotting.needsNoText else {
      throw ValidationError("give a text to evaluate, --tokens or --merge")
    }
    guard hasText || perToken == nil else { throw ValidationError("--per-token needs a text to evaluate") }
  }

  private var hasText: Bool { text.file != nil || text.tokens != nil }

  func run() async throws {
    let others = try plotting.prepare()
    if hasText {
      let (report, own) = try await evaluate()
      try plotting.write(own, others)
      try write(report)
    } else if merge.isEmpty {
      try plotting.write(nil, others)
    } else {
      let whole = try mergedState()
      try plotting.write(curve(whole), others)
      try write(PerplexityReport(whole))
    }
  }

  private func write(_ report: PerplexityReport) throws {
    try StandardStream.output.write(json ? jsonLine(report) : report.table)
  }

  /// What a plot shows of this run.
  private func curve(_ state: EvaluationState) throws -> PerplexityCurve {
    let name = plotting.plotName ?? state.setup["method"] ?? "this run"
    // A run that was resumed knows single tokens only from their file.
    if let perToken, plotting.plot != nil { return try PerplexityCurve(name: name, file: perToken) }
    return PerplexityCurve(name: name, state.results)
  }

  private func mergedState() throws -> EvaluationState {
    try .merged(
      merge.map { path in
        guard let state = try EvaluationState.read(path) else {
          throw EvaluationError(.missingFile, file: path, "does not exist")
        }
        return (path, state)
      })
  }

  private func evaluate() async throws -> (PerplexityReport, PerplexityCurve) {
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    Interrupt.catchOnce()
    // All on the stream's thread: Swift's own threads stay free for the progress line.
    let (report, state, isInterrupted) = try await stream.perform { try evaluate(folder, on: stream) }
    if isInterrupted {
      if let state = self.state {
        StandardStream.error.writeIgnoringFailure("interrupted; \(state) holds what is done\n")
      }
      throw ExitCode(Interrupt.exitCode)
    }
    return (report, try curve(state))
  }

  private func evaluate(
    _ folder: String, on stream: ComputeStream
  ) throws -> (report: PerplexityReport, state: EvaluationState, isInterrupted: Bool) {
    let progress = EvaluationProgress()
    defer { progress.finish() }
    let evaluator = try loadEvaluator(folder, on: stream)
    var fingerprint = state == nil && comparison.saveLogits == nil ? "" : try evaluator.model.fingerprint()
    let format = try cacheFormat.format()
    // Sums of one form do not go on with another.
    if format != CacheFormat(), !fingerprint.isEmpty { fingerprint += ", cache of \(format)" }
    var run = try EvaluationRun(
      evaluator, modelFingerprint: fingerprint, shard: shard,
      stateFile: state.map { EvaluationRun.StateFile($0, interval: .seconds(stateInterval)) }, perTokenPath: perToken)
    let predictions = try PredictionUses(
      comparison, evaluator: evaluator, modelFingerprint: fingerprint, precision: compute.precision)
    let windowCount = run.state.windowIndices.count
    try run.run(
      observe: comparison.needsPredictions ? { try predictions.add($0) } : nil,
      shouldGoOn: { run in
        progress.update(
          "perplexity \(fixed(run.state.figures.perplexity, 4))", doneCount: run.state.results.count,
          resumedCount: run.resumedWindowCount, count: windowCount, duration: run.duration)
        return !Interrupt.isRequested
      })
    var report = PerplexityReport(run.state)
    report.model = folder
    report.threads = stream.threadCount
    report.evaluatedTokens = run.evaluatedTokenCount
    report.seconds = run.duration.seconds
    if run.duration > .zero { report.tokensPerSecond = Double(run.evaluatedTokenCount) / run.duration.seconds }
    let isInterrupted = run.state.results.count < windowCount
    if !isInterrupted { report.comparison = try predictions.finish() }
    return (report, run.state, isInterrupted)
  }

  private func loadEvaluator(_ folder: String, on stream: ComputeStream) throws -> WindowEvaluator {
    let model = try DecoderModel.load(
      folder: folder, precision: compute.precision, stream: stream, cacheFormat: cacheFormat.format())
    let tokenizer = text.tokens == nil ? try TextGenerator.tokenizerIfPresent(folder: folder) : nil
    try tokenizer?.checkVocabulary(fitsModelOf: model.configuration.vocabularySize, folder: folder)
    let plan = try EvaluationPlan(
      method, text: text.read(method: method, tokenizer: tokenizer, configuration: model.configuration, folder: folder),
      contextLength: contextLength, stride: stride,
      cachePolicy: caching.policy(for: method, modelContextLength: model.configuration.contextLength),
      windowLimit: chunks, modelContextLength: model.configuration.contextLength)
    return try WindowEvaluator(model: model, plan: plan)
  }
}

/// Who looks at the predictions of a run.
private struct PredictionUses {
  private let comparison: ModelComparison?
  private let writer: SavedLogitsWriter?
  private let model: DecoderModel
  private let base: String

  init(
    _ options: ComparisonOptions, evaluator: WindowEvaluator, modelFingerprint: String, precision: Precision
  ) throws {
    model = evaluator.model
    base = options.compare ?? ""
    comparison = try options.base(on: model.stream, precision: precision).map { base in
      try ModelComparison(base, evaluator: evaluator)
    }
    writer = try options.saveLogits.map { path throws(EvaluationError) in
      try SavedLogitsWriter(path, evaluator: evaluator, modelFingerprint: modelFingerprint)
    }
  }

  func add(_ block: ScoredBlock) throws {
    try comparison?.add(block, model: model)
    try writer?.add(block, model: model)
  }

  /// Ends the file, and tells what was found.
  func finish() throws -> ComparisonReport? {
    try writer?.finish()
    return comparison.map { ComparisonReport(base: base, $0.figures) }
  }
}

extension PerplexityMethod: ExpressibleByArgument {}

extension Shard: ExpressibleByArgument {
  /// `i/n`.
  public init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]) else { return nil }
    self.init(number: number, count: count)
  }
}

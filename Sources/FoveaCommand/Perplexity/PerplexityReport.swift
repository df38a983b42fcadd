import Fovea

/// What `fovea perplexity` tells: as a table and as JSON.
struct PerplexityReport: Encodable {
  var model: String?
  let method: String
  let contextLength: Int?
  let stride: Int?
  /// The kind of the cache of `--method streaming`, whose size is the context length.
  let cache: String?
  let sinkTokens: Int?
  let precision: String?
  let instructionSet: String?
  var threads: Int?
  let windows: Int
  let tokens: Int
  let perplexity: Double
  let standardError: Double?
  let lossPerToken: Double
  let lossSum: Double
  let wordPerplexity: Double?
  let bytePerplexity: Double?
  let bitsPerByte: Double?
  let words: Int?
  let bytes: Int?
  /// Tokens that went through the model in this run, which does not count what a state file brought.
  var evaluatedTokens: Int?
  var seconds: Double?
  var tokensPerSecond: Double?
  /// What `--compare` found.
  var comparison: ComparisonReport?

  /// The figures of `state`, whose setup says what was evaluated.
  init(_ state: EvaluationState) {
    let figures = state.figures
    let size = figures.wordPerplexity == nil ? nil : state.textSize
    method = state.setup["method"] ?? "unknown"
    contextLength = state.setup["context length"].flatMap { Int($0) }
    stride = state.setup["stride"].flatMap { Int($0) }
    cache = state.setup["cache"]
    sinkTokens = state.setup["sink tokens"].flatMap { Int($0) }
    precision = state.setup["precision"]
    instructionSet = state.setup["instruction set"]
    windows = figures.windowCount
    tokens = figures.tokenCount
    perplexity = figures.perplexity
    standardError = figures.standardError
    lossPerToken = figures.meanLoss
    lossSum = figures.lossSum
    wordPerplexity = figures.wordPerplexity
    bytePerplexity = figures.bytePerplexity
    bitsPerByte = figures.bitsPerByte
    words = size?.wordCount
    bytes = size?.byteCount
  }

  /// The report for people.
  var table: String {
    var cut = method
    if let contextLength, let sinkTokens, let cache {
      cut += ", \(cache) cache of \(sinkTokens) + \(contextLength - sinkTokens) tokens"
    } else if let contextLength {
      cut += ", context length \(contextLength)"
    }
    if let stride { cut += ", stride \(stride)" }
    var rows: [(name: String, value: String)] = []
    if let model { rows.append(("model", model + (precision.map { ", \($0) precision" } ?? ""))) }
    rows += [
      ("method", cut),
      ("scored", "\(tokens) tokens in \(windows) windows"),
      ("perplexity", fixed(perplexity, 4) + (standardError.map { " ± " + fixed($0, 4) } ?? "")),
      ("loss", fixed(lossPerToken, 6) + " nats a token"),
    ]
    if let wordPerplexity, let words { rows.append(("a word", "\(fixed(wordPerplexity, 4)), \(words) words")) }
    if let bytePerplexity, let bitsPerByte, let bytes {
      rows.append(("a byte", "\(fixed(bytePerplexity, 5)), \(fixed(bitsPerByte, 5)) bits, \(bytes) bytes"))
    }
    if let tokensPerSecond, let seconds {
      rows.append(("speed", "\(fixed(tokensPerSecond, 0)) tokens/s, \(fixed(seconds, 1)) s"))
    }
    return tableText(rows + (comparison?.rows ?? []))
  }
}

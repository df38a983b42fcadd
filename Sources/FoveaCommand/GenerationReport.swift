import Fovea

/// What `fovea generate` tells about a text: as a table on standard error and as JSON.
struct GenerationReport {
  let model: String
  let loadDuration: Duration
  let precision: Precision
  let stream: ComputeStream
  /// Whether text and tokens are kept for ``json``: those of an endless text are not.
  let keepsText: Bool
  /// The text so far.
  var text = ""
  private var prompt: EncodedPrompt?
  private var tokens: [GeneratedToken] = []
  private var summary: GenerationSummary?

  init(model: String, loadDuration: Duration, precision: Precision, stream: ComputeStream, keepsText: Bool = true) {
    self.model = model
    self.loadDuration = loadDuration
    self.precision = precision
    self.stream = stream
    self.keepsText = keepsText
  }

  /// Takes the next event.
  mutating func add(_ event: GenerationEvent) {
    switch event {
    case .started(let prompt): self.prompt = prompt
    case .promptProgress: break
    case .piece(let piece):
      guard keepsText else { break }
      text += piece.text
      if let token = piece.token { tokens.append(token) }
    case .finished(let summary): self.summary = summary
    }
  }

  /// The table of `--verbose`.
  var table: String {
    var rows: [(name: String, value: String)] = [
      ("model", "\(model), \(precision.rawValue) precision"),
      ("compute", "\(stream.threadCount) threads, \(stream.instructionSet.name)"),
      ("load", milliseconds(loadDuration)),
    ]
    if let summary {
      rows += [
        ("prompt", promptText(summary)),
        ("first token", summary.timings.firstToken.map(milliseconds) ?? "none"),
        ("generation", "\(summary.generatedTokenCount) tokens" + speed(summary.generatedTokensPerSecond)),
        ("ended by", summary.finishReason.rawValue),
        ("seed", String(summary.seed)),
      ]
    }
    return tableText(rows + [("peak memory", byteText(peakMemoryByteCount()))])
  }

  private func promptText(_ summary: GenerationSummary) -> String {
    let (count, evaluatedCount) = (summary.promptTokenCount, summary.evaluatedPromptTokenCount)
    let evaluated = evaluatedCount < count ? ", \(evaluatedCount) of them evaluated" : ""
    return "\(count) tokens" + evaluated + speed(summary.promptTokensPerSecond)
  }

  private func milliseconds(_ duration: Duration) -> String { fixed(duration.seconds * 1000, 1) + " ms" }

  private func speed(_ tokensPerSecond: Double?) -> String {
    tokensPerSecond.map { ", " + fixed($0, 1) + " tokens/s" } ?? ""
  }
}

// MARK: JSON

extension GenerationReport {
  /// The object of `--json`; times in seconds.
  struct JSON: Encodable {
    struct Token: Encodable {
      let id: Int
      let logProbability: Double
    }
    struct Timings: Encodable {
      let load: Double
      let prompt: Double
      let firstToken: Double?
      let generation: Double
      let promptTokensPerSecond: Double?
      let generatedTokensPerSecond: Double?
    }
    let model: String
    let precision: String
    let threads: Int
    let instructionSet: String
    let text: String
    let promptTokens: [Int]
    let evaluatedPromptTokenCount: Int?
    let tokens: [Token]
    let finishReason: String?
    let stopString: String?
    let seed: UInt64?
    let timings: Timings
    let peakMemoryBytes: Int
  }

  /// The report as JSON.
  var json: JSON {
    JSON(
      model: model, precision: precision.rawValue, threads: stream.threadCount,
      instructionSet: stream.instructionSet.name, text: text, promptTokens: prompt?.tokens ?? [],
      evaluatedPromptTokenCount: summary?.evaluatedPromptTokenCount,
      tokens: tokens.map { JSON.Token(id: $0.id, logProbability: $0.logProbability) },
      finishReason: summary?.finishReason.rawValue, stopString: summary?.stopString, seed: summary?.seed,
      timings: JSON.Timings(
        load: loadDuration.seconds, prompt: summary?.timings.prompt.seconds ?? 0,
        firstToken: summary?.timings.firstToken?.seconds, generation: summary?.timings.generation.seconds ?? 0,
        promptTokensPerSecond: summary?.promptTokensPerSecond,
        generatedTokensPerSecond: summary?.generatedTokensPerSecond),
      peakMemoryBytes: peakMemoryByteCount())
  }
}

/// The most memory that the process had resident, mapped weights included.
func peakMemoryByteCount() -> Int {
  var usage = rusage()
  #if canImport(Darwin)
  getrusage(RUSAGE_SELF, &usage)
  return usage.ru_maxrss
  #else
  // glibc's declaration wants the enumeration's number; Linux counts in units of 1024 bytes.
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage.ru_maxrss * 1024
  #endif
}

/// Counts the peak of ``peakMemoryByteCount()`` anew from here, where the system can.
func resetPeakMemory() {
  guard let file = fopen("/proc/self/clear_refs", "w") else { return }
  fputs("5", file)
  fclose(file)
}

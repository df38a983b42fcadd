import ArgumentParser
import Fovea
import FoveaCore

/// `fovea bench embed`: times the embedding of many texts, and of one.
struct BenchEmbedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed", abstract: "Time an embedding model.",
    discussion: """
      Embeds the lines of a file, tokenising included, and then the first line alone, many times. Prints the medians. \
      Loading is not part of them.
      """)

  @Argument(help: "The file with a text a line; - for standard input.")
  var file: String

  @Option(
    name: [.customShort("r"), .customLong("repetitions")],
    help: ArgumentHelp("How often the lines are embedded.", valueName: "n"))
  var repetitions = 3

  @Option(help: ArgumentHelp("How often the first line is embedded alone.", valueName: "n"))
  var single = 100

  @Option(help: ArgumentHelp("The most tokens evaluated together (default: what suits the model).", valueName: "n"))
  var batchTokens: Int?

  @Flag(help: .hidden)
  var tokens = false

  @Flag(help: "Show where the time goes by one more repetition, in which all threads share each phase.")
  var profile = false

  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard 0...1000 ~= repetitions else {
      throw ValidationError("--repetitions is \(repetitions), expected 0 to 1000")
    }
    guard 0...100_000 ~= single else { throw ValidationError("--single is \(single), expected 0 to 100000") }
    guard batchTokens ?? 1 >= 1 else {
      throw ValidationError("--batch-tokens is \(batchTokens ?? 0), expected at least 1")
    }
  }

  /// What was measured; seconds.
  private struct Report: Encodable {
    var texts: Int
    var tokens: Int
    var loadSeconds: Double
    var textsPerSecond: Double?
    var tokensPerSecond: Double?
    var singleTextSeconds: Double?
    var threads: Int
    var profile: ModelProfile?
  }

  func run() async throws {
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    let report = try await stream.perform { try measure(folder, stream) }
    if json {
      try StandardStream.output.write(jsonLine(report))
      return
    }
    var rows = [
      (name: "texts", value: "\(report.texts)" + (report.tokens > 0 ? " of \(report.tokens) tokens" : "")),
      (name: "load", value: "\(fixed(report.loadSeconds * 1000, 1)) ms"),
    ]
    if let texts = report.textsPerSecond, let tokens = report.tokensPerSecond {
      rows.append(("speed", "\(fixed(texts, 1)) texts/s, \(fixed(tokens, 0)) tokens/s"))
    }
    if let seconds = report.singleTextSeconds { rows.append(("first text alone", "\(fixed(seconds * 1000, 3)) ms")) }
    try StandardStream.output.write(tableText(rows) + (report.profile?.table ?? ""))
  }

  private func measure(_ folder: String, _ stream: ComputeStream) throws -> Report {
    let clock = ContinuousClock()
    let start = clock.now
    let embedder = try TextEmbedder(folder: folder, precision: compute.precision, stream: stream)
    let loadSeconds = (clock.now - start).seconds
    let items = try EmbedInput(InputFile(file), isJSONL: false, areTokens: tokens).items
    guard items.count > 0 else { throw CommandError(.badData, "\(file): holds no line") }
    let options = EmbeddingOptions(batchTokenCount: batchTokens)
    var embeddings: [Embedding] = []
    func seconds(_ count: Int, _ range: Range<Int>) throws -> Double? {
      var times: [Double] = []
      for _ in 0..<count {
        let start = clock.now
        embeddings = try embedder.embedNow(items, range, prompt: .modelDefault, options: options, progress: nil)
        times.append((clock.now - start).seconds)
      }
      return times.isEmpty ? nil : times.median
    }
    // Once for the caches and the buffers.
    _ = try seconds(1, 0..<min(64, items.count))
    var report = Report(texts: items.count, tokens: 0, loadSeconds: loadSeconds, threads: stream.threadCount)
    let all = try seconds(repetitions, 0..<items.count)
    report.tokens = embeddings.reduce(0) { $0 + $1.tokenCount }
    report.textsPerSecond = all.map { Double(report.texts) / $0 }
    report.tokensPerSecond = all.map { Double(report.tokens) / $0 }
    report.singleTextSeconds = try seconds(single, 0..<1)
    if profile {
      let measured = PhaseProfile(threadCount: stream.threadCount)
      try stream.run(measuring: measured) { _ = try seconds(1, 0..<items.count) }
      report.profile = ModelProfile(measured)
    }
    return report
  }
}

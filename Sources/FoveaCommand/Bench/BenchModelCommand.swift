import ArgumentParser
import Fovea

/// `fovea bench model`: times the evaluation of prompts and the generation of tokens.
struct BenchModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "Time a model's prompts and generation.",
    discussion: """
      pp N evaluates N tokens at once, tg N one after another; '@ D' after D tokens that are in the cache already. \
      Token ids are random. Prints the median and the range of the repetitions in tokens a second and their share of a \
      limit: of the pace at which the same weights are read and nothing else, in turn with the repetitions, over the bytes \
      that a generated token reads; of the multiply-add or dot peak over the operations of a prompt's token.
      """)

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "The folder of the model; may be repeated (default: FOVEA_MODEL, else the bundled model).", valueName: "dir"))
  var model: [String] = []

  @Option(
    name: [.customShort("p"), .customLong("prompt")],
    help: ArgumentHelp("Prompt lengths, with commas; 0 for none.", valueName: "n"))
  var prompt = CountList([512])

  @Option(
    name: [.customShort("n"), .customLong("generate")],
    help: ArgumentHelp("Numbers of tokens to generate, with commas; 0 for none.", valueName: "n"))
  var generate = CountList([128])

  @Option(
    name: [.customShort("d"), .customLong("depth")],
    help: ArgumentHelp("Tokens in the cache before, with commas.", valueName: "n"))
  var depth = CountList([0])

  @Option(
    name: [.customShort("t"), .customLong("threads")],
    help: ArgumentHelp(
      "How many threads compute; several with commas (default: what the process may use).", valueName: "n"))
  var threads: ThreadCountList?

  @Option(
    name: [.customShort("r"), .customLong("repetitions")],
    help: ArgumentHelp("How often each test is timed.", valueName: "n"))
  var repetitions = 5

  @Option(
    parsing: .unconditionalSingleValue,
    help: "The arithmetic, as elsewhere; may be repeated (default: native).")
  var precision: [Precision] = []

  @OptionGroup var cacheFormat: CacheFormatOptions

  @Flag(help: "Show where the time goes, phase by phase, by one more repetition of each test.")
  var profile = false

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard 1...1000 ~= repetitions else {
      throw ValidationError("--repetitions is \(repetitions), expected 1 to 1000")
    }
  }

  func run() async throws {
    // Looked for before anything is measured, so that a wrong path costs no time.
    let folders = try (model.isEmpty ? [ModelFolder.standard()] : model).map { try ModelOptions.checkedFolder($0) }
    let tests = ModelTest.all(promptLengths: prompt.counts, generatedCounts: generate.counts, depths: depth.counts)
    let streams = try (threads?.counts.map { $0 } ?? [nil]).map { try ComputeStream(threadCount: $0) }
    var peaks: [MachinePeaks] = []
    for stream in streams { peaks.append(try await stream.perform { MachinePeaks.measure(on: stream) }) }
    var report = ModelBenchReport(instructionSet: streams[0].instructionSet.name, peaks: peaks)
    if !json { try StandardStream.output.write(report.heading) }
    for folder in folders {
      for precision in precision.isEmpty ? [.native] : precision {
        for (stream, peaks) in zip(streams, peaks) {
          resetPeakMemory()
          let benchmark = try await ModelBenchmark.load(
            folder: folder, precision: precision, stream: stream, cacheFormat: cacheFormat.format())
          try benchmark.checkContext(of: tests)
          for test in tests {
            let result = try await time(test, benchmark, peaks: peaks)
            report.results.append(result)
            if !json { try StandardStream.output.write(result.tableRow) }
          }
        }
      }
    }
    if json { try StandardStream.output.write(jsonLine(report)) }
  }

  private func time(
    _ test: ModelTest, _ benchmark: ModelBenchmark, peaks: MachinePeaks
  ) async throws -> ModelBenchReport.Result {
    let progress = ProgressLine("timing \(benchmark.name) \(test)")
    defer { progress.finish() }
    let (repetitions, wantsProfile) = (repetitions, profile)
    let timing = try await benchmark.model.stream.perform {
      try benchmark.times(of: test, repetitions: repetitions) { done in
        progress.update("timing \(benchmark.name) \(test): \(done) of \(repetitions)")
      }
    }
    var result = ModelBenchReport.Result(test, benchmark, timing, peaks: peaks)
    if wantsProfile { result.profile = try await benchmark.model.stream.perform { try benchmark.profile(test) } }
    return result
  }
}

/// A list of counts with commas.
struct CountList: ExpressibleByArgument, CustomStringConvertible {
  let counts: [Int]

  init(_ counts: [Int]) {
    self.counts = counts
  }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    counts = parts.compactMap { Int($0) }.filter { 0...1_000_000 ~= $0 }
    guard counts.count == parts.count else { return nil }
  }

  var description: String { counts.map(String.init).joined(separator: ",") }
  var defaultValueDescription: String { description }
}

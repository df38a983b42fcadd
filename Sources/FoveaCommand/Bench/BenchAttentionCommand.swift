import ArgumentParser
import Fovea
import FoveaCore

/// `fovea bench attention`: times the attention op.
struct BenchAttentionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention", abstract: "Time the attention op.",
    discussion: """
      Prints the median and the range of the repetitions, GFLOP/s (4·B·Nq·Tq·Tkv·D operations, half of them with a \
      causal mask) with its share of the multiply-add peak of the type, GB/s of keys and values with its share of the \
      pace at which the same arrays are read and nothing else, in turn with the repetitions, and the working memory of \
      all threads together. Arrays that a cache holds exceed the memory's pace.
      """)

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      """
      Batch, query heads, key/value heads, queries, keys, head dimension. May be repeated (default: a set of prefill \
      and decode shapes).
      """, valueName: "B,Nq,Nkv,Tq,Tkv,D"))
  var shape: [AttentionShape] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "float32, bfloat16 or float16; several with commas, or repeated (default: all).", valueName: "type"))
  var type: [ElementTypeList] = []

  @Option(help: "Which keys a query sees (default: causal where there are several queries).")
  var mask: AttentionMaskKind?

  @Option(
    help: ArgumentHelp(
      "How many threads compute; several with commas (default: what the process may use).", valueName: "n"))
  var threads: ThreadCountList?

  @Option(help: ArgumentHelp("How often each case is timed.", valueName: "n"))
  var repetitions = 5

  @Flag(help: "Shapes of 64 to 16384 keys instead, prefill and decode.")
  var scaling = false

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard 1...1000 ~= repetitions else {
      throw ValidationError("--repetitions is \(repetitions), expected 1 to 1000")
    }
    guard !scaling || shape.isEmpty else { throw ValidationError("give --shape or --scaling, not both") }
  }

  func run() async throws {
    let types = type.isEmpty ? [.float32, .bfloat16, .float16] : type.flatMap(\.types)
    let streams = try (threads?.counts.map { $0 } ?? [nil]).map { try ComputeStream(threadCount: $0) }
    var peaks: [MachinePeaks] = []
    for stream in streams { peaks.append(try await stream.perform { MachinePeaks.measure(on: stream) }) }
    var report = AttentionBenchReport(instructionSet: streams[0].instructionSet.name, peaks: peaks)
    if !json { try StandardStream.output.write(report.heading) }
    for attentionCase in cases(types: types) {
      let benchmark = AttentionBenchmark(attentionCase)
      for (stream, peaks) in zip(streams, peaks) {
        let repetitions = repetitions
        // One for each row, so that it is gone when the row is written.
        let progress = ProgressLine(
          "timing \(attentionCase.shape) \(attentionCase.elementType) \(attentionCase.mask.rawValue)")
        defer { progress.finish() }
        let (timing, scratchByteCount) = try await stream.perform {
          stream.releaseScratch()
          try benchmark.check(on: stream)
          return (try benchmark.times(on: stream, repetitions: repetitions), stream.scratchByteCount)
        }
        let result = AttentionBenchReport.Result(
          attentionCase, timing, scratchByteCount: scratchByteCount, peaks: peaks)
        report.results.append(result)
        progress.finish()
        if !json { try StandardStream.output.write(result.tableRow) }
      }
    }
    if json { try StandardStream.output.write(jsonLine(report)) }
  }

  private func cases(types: [ElementType]) -> [AttentionCase] {
    let chosen: [(AttentionShape, AttentionMaskKind)]
    if scaling {
      chosen = AttentionCase.scalingShapes.map { ($0, mask ?? $0.usualMask) }
    } else if shape.isEmpty {
      chosen = AttentionCase.standard.filter { mask == nil || $0.1 == mask }
    } else {
      chosen = shape.map { ($0, mask ?? $0.usualMask) }
    }
    return chosen.flatMap { shape, mask in
      types.map { AttentionCase(shape: shape, elementType: $0, mask: mask) }
    }
  }
}

/// The value of `--type`.
struct ElementTypeList: ExpressibleByArgument {
  let types: [ElementType]

  init?(argument: String) {
    let offered: [ElementType] = [.float32, .bfloat16, .float16]
    let names = argument.split(separator: ",", omittingEmptySubsequences: false)
    types = names.compactMap { name in offered.first { $0.rawValue == name } }
    guard types.count == names.count else { return nil }
  }
}

/// The value of `--threads`.
struct ThreadCountList: ExpressibleByArgument {
  let counts: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    counts = parts.compactMap { Int($0) }.filter { 1...1024 ~= $0 }
    guard counts.count == parts.count else { return nil }
  }
}

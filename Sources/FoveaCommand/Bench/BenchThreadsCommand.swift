import ArgumentParser
import Fovea

/// `fovea bench threads`: measures what threads cost beside their work.
struct BenchThreadsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "threads", abstract: "Measure the cost of threads beside their work.",
    discussion: """
      Prints the time of a barrier, which hands a piece of work to each thread, in which it waits for the others, and \
      ends when all have; and the share of a processor that the threads take while there is no work.
      """)

  @Option(
    help: ArgumentHelp(
      "How many threads compute; several with commas (default: what the process may use).", valueName: "n"))
  var threads: ThreadCountList?

  @Flag(help: "Write JSON.")
  var json = false

  /// One number of threads. Barriers are in microseconds.
  struct Result: Encodable {
    let threads: Int
    let barrierMedian: Double
    let barrierMinimum: Double
    let idleShare: Double
    let sleepingThreads: Int
  }

  struct Report: Encodable {
    let operation = "threads"
    let processor = processorName()
    var results: [Result] = []
  }

  func run() async throws {
    var report = Report()
    for count in threads?.counts.map({ Optional($0) }) ?? [nil] {
      // One stream at a time: the threads of another would add to what an idle second costs.
      let stream = try ComputeStream(threadCount: count)
      let cost = try await stream.perform { SynchronizationCost.measure(on: stream) }
      report.results.append(
        Result(
          threads: cost.threadCount, barrierMedian: cost.barrierSeconds * 1e6,
          barrierMinimum: cost.fastestBarrierSeconds * 1e6, idleShare: cost.idleShare,
          sleepingThreads: cost.sleepingThreadCount))
    }
    if json {
      try StandardStream.output.write(jsonLine(report))
      return
    }
    var text = "threads, \(report.processor)\n\n"
    text += "threads  barrier µs  fastest µs  idle CPU  asleep\n"
    for result in report.results {
      let cells = [
        String(result.threads), fixed(result.barrierMedian, 2), fixed(result.barrierMinimum, 2),
        fixed(result.idleShare * 100, 2) + " %", String(result.sleepingThreads),
      ]
      text += rowText(cells, widths: [7, 10, 10, 8, 6], separator: "  ")
    }
    try StandardStream.output.write(text)
  }
}

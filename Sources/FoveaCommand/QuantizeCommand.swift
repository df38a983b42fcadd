import ArgumentParser
import Fovea

/// `fovea quantize`: rounds a checkpoint's matrices to codes of a few bits.
struct QuantizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize", abstract: "Write a model with quantised weights.",
    discussion: """
      The result is a folder in MLX's layout, which mlx-lm reads too. 8 bits cost next to no quality, 4 bits some; \
      smaller groups are more exact and take more memory. --mixed gives the output matrix and some of the projections \
      of values and down projections more bits, chosen as mlx-lm's recipes do.
      """)

  @Argument(help: ArgumentHelp("The folder of the model, in Hugging Face layout.", valueName: "in"))
  var input: String

  @Argument(help: ArgumentHelp("The folder to write, which must not exist yet.", valueName: "out"))
  var output: String

  @Option(help: ArgumentHelp("Bits of a code: 2, 3, 4, 5, 6 or 8.", valueName: "n"))
  var bits = 4

  @Option(help: ArgumentHelp("Weights that share a scale: 32, 64 or 128.", valueName: "n"))
  var groupSize = 64

  @Option(
    help: ArgumentHelp(
      "Two widths such as 4_6, for most matrices and for the more sensitive ones; replaces --bits.",
      valueName: "rule"))
  var mixed: String?

  @Option(help: ArgumentHelp("How many threads compute (default: what the process may use).", valueName: "n"))
  var threads: Int?

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard QuantizationScheme.allowedBits.contains(bits) else {
      throw ValidationError("--bits is \(bits), expected 2, 3, 4, 5, 6 or 8")
    }
    guard QuantizationScheme.allowedGroupSizes.contains(groupSize) else {
      throw ValidationError("--group-size is \(groupSize), expected 32, 64 or 128")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is \(threads ?? 0), expected 1 to 1024")
    }
    _ = try rule()
  }

  /// What the options ask for.
  private func rule() throws -> QuantizationRule {
    guard let mixed else { return QuantizationRule(scheme: QuantizationScheme(bits: bits, groupSize: groupSize)) }
    // mlx-lm's names begin with `mixed_`.
    let name = mixed.hasPrefix("mixed_") ? mixed.dropFirst("mixed_".count) : mixed[...]
    let widths = name.split(separator: "_", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard widths.count == 2, widths.allSatisfy(QuantizationScheme.allowedBits.contains), widths[0] < widths[1] else {
      throw ValidationError("--mixed is '\(mixed)', expected two widths such as 3_4, 3_6 or 4_6")
    }
    return QuantizationRule(
      scheme: QuantizationScheme(bits: widths[0], groupSize: groupSize), higherBits: widths[1])
  }

  func run() async throws {
    let folder = try ModelOptions.checkedFolder(input)
    let stream = try ComputeStream(threadCount: threads)
    let rule = try rule()
    let target = output
    let line = ProgressLine("quantising")
    Interrupt.catchOnce()
    let result = try await stream.perform {
      defer { line.finish() }
      return try quantizeCheckpoint(folder: folder, to: target, rule: rule, stream: stream) { share in
        if Interrupt.isRequested { throw ExitCode(Interrupt.exitCode) }
        line.update("\(progressBar(share)) \(fixed(100 * share, 0)) %")
      }
    }
    let report = QuantizationReport(
      output: target, byteCountBefore: result.byteCountBefore, byteCountAfter: result.byteCountAfter)
    let ratio = Double(result.byteCountAfter) / Double(result.byteCountBefore)
    try StandardStream.output.write(
      json
        ? jsonLine(report)
        : tableText([
          ("written", target),
          (
            "weights",
            "\(byteText(result.byteCountAfter)) of \(byteText(result.byteCountBefore)) (\(fixed(100 * ratio, 1)) %)"
          ),
        ]))
  }
}

/// What `fovea quantize --json` tells.
private struct QuantizationReport: Encodable {
  let output: String
  let byteCountBefore: Int
  let byteCountAfter: Int
}

import ArgumentParser
import Fovea

/// `fovea inspect`: shows what a model is and what it needs, without computing anything with it.
struct InspectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show a model's architecture, sizes, memory and tokenizer.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write JSON.")
  var json = false

  func run() async throws {
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    let precision = compute.precision
    let report: any InspectReport = try await stream.perform {
      if let report = try EncoderReport(folder: folder, precision: precision, stream: stream) { return report }
      let model = try DecoderModel.load(folder: folder, precision: precision, stream: stream)
      return ModelReport(folder: folder, model: model, tokenizer: InspectCommand.tokenizer(folder))
    }
    try StandardStream.output.write(json ? jsonLine(report) : report.table)
  }

  /// A tokenizer that Fovea cannot read yet must not keep anyone from seeing the rest.
  private static func tokenizer(_ folder: String) -> Result<(any Tokenizer)?, any Error> {
    Result { try TextGenerator.tokenizerIfPresent(folder: folder) }
  }
}

/// What is told about a model: as JSON, or as a table for people.
protocol InspectReport: Encodable, Sendable {
  var precision: String { get }
  var instructionSet: String { get }
  var availableInstructionSets: [String] { get }
  var threads: Int { get }
  var table: String { get }
}

extension InspectReport {
  /// How the model is computed with: the last rows of every table.
  var computeRows: [(name: String, value: String)] {
    [
      ("precision", precision),
      ("instruction set", "\(instructionSet) (available: \(availableInstructionSets.joined(separator: ", ")))"),
      ("threads", String(threads)),
    ]
  }
}

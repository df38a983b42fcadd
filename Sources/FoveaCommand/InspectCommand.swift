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
    let json = json
    let text = try await stream.perform {
      if let report = try EncoderReport(folder: folder, precision: precision, stream: stream) {
        return try json ? jsonLine(report) : report.table
      }
      let model = try DecoderModel.load(folder: folder, precision: precision, stream: stream)
      let report = ModelReport(folder: folder, model: model, tokenizer: InspectCommand.tokenizer(folder))
      return try json ? jsonLine(report) : report.table
    }
    try StandardStream.output.write(text)
  }

  /// A tokenizer that Fovea cannot read yet must not keep anyone from seeing the rest.
  private static func tokenizer(_ folder: String) -> Result<(any Tokenizer)?, any Error> {
    Result { try TextGenerator.tokenizerIfPresent(folder: folder) }
  }
}

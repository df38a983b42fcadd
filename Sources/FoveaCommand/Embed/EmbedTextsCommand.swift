import ArgumentParser
import Fovea
import FoveaCore

/// `fovea embed texts`, or `fovea embed` alone: texts in, vectors out.
struct EmbedTextsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "texts", abstract: "Turn texts into vectors.",
    discussion: """
      Texts are arguments, or the lines of a file or of standard input. Writes one JSON object for each, in their order, \
      with its index, its number of tokens, and truncated_tokens where it was longer than the model allows. A text that \
      is the name of a subcommand goes after 'texts'.

      With --state, a run that was ended at any moment goes on where it was; with --shard, parts can run on several \
      machines, and their outputs joined in order are those of one run.
      """)

  @Argument(help: "The texts.")
  var texts: [String] = []

  @Option(
    name: .shortAndLong, help: ArgumentHelp("A file with a text a line; - for standard input.", valueName: "path"))
  var file: String?

  @Flag(help: "The file's lines are JSON objects with \"text\" and, as you like, \"id\".")
  var jsonl = false

  @Flag(help: .hidden)
  var tokens = false

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Write to a file instead of standard output.", valueName: "path"))
  var output: String?

  @Option(help: "How vectors are written; npy, a NumPy matrix, needs --output.")
  var format: EmbedFormat = .jsonl

  @Flag(help: "Write the token ids that the model got too; with --format jsonl.")
  var tokenIds = false

  @Flag(help: "Print how alike the texts are, as a matrix, instead of vectors.")
  var similarity = false

  @Option(help: ArgumentHelp("Keep the state in a file, and go on from what it holds.", valueName: "path"))
  var state: String?

  @Option(help: ArgumentHelp("Embed part i of n of the texts.", valueName: "i/n"))
  var shard: Shard?

  @OptionGroup var options: EmbedOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write the model's settings, counts of tokens and the speed to standard error.")
  var verbose = false

  func run() async throws {
    guard texts.isEmpty || (file == nil && !jsonl && !tokens) else {
      throw ValidationError("give texts or --file, not both")
    }
    guard format != .npy || output != nil else { throw ValidationError("--format npy needs --output") }
    guard !tokenIds || (format == .jsonl && !similarity) else {
      throw ValidationError("--token-ids needs --format jsonl")
    }
    guard state == nil || output != nil else { throw ValidationError("--state needs --output, which it goes on with") }
    guard !similarity || (output == nil && state == nil && shard == nil) else {
      throw ValidationError("--similarity prints a matrix: give it without --output, --state and --shard")
    }
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    Interrupt.catchOnce()
    try await stream.perform { try embed(folder, on: stream) }
  }

  private func embed(_ folder: String, on stream: ComputeStream) throws {
    let progress = EvaluationProgress()
    defer { progress.finish() }
    let embedder = try TextEmbedder(folder: folder, precision: compute.precision, stream: stream)
    let name = file ?? "-"
    let inputFile = texts.isEmpty ? try InputFile(name) : nil
    let input =
      if let inputFile { try EmbedInput(inputFile, isJSONL: jsonl, areTokens: tokens) } else {
        EmbedInput(texts: texts)
      }
    report(embedder.warnings)
    if similarity {
      try StandardStream.output.write(similarityTable(embedder, input, progress))
      return
    }
    var job = EmbedJob(
      embedder: embedder, input: input, options: options, format: format, shard: shard, output: output,
      statePath: state, writesTokens: tokenIds)
    if state != nil {
      var checksum = Checksum()
      checksum.add(inputFile.map { String(decoding: $0.bytes, as: UTF8.self) } ?? texts.joined(separator: "\n"))
      job.setup = options.setup.merging([
        "model": try modelFingerprint(folder: embedder.modelFolder), "texts": checksum.text,
        "format": format.rawValue + (tokenIds ? " with token ids" : ""), "precision": compute.precision.rawValue,
        "shard": shard.map { "\($0.number)/\($0.count)" } ?? "none",
      ]) { $1 }
    }
    try job.run(progress)
    report(job.truncationReport(limit: embedder.sequenceLengthLimit))
    if verbose { try StandardStream.error.write(job.summary(folder)) }
  }

  /// Warnings are for people.
  private func report(_ warnings: [String]) {
    guard verbose || StandardStream.error.isTerminal else { return }
    for warning in warnings { StandardStream.error.writeIgnoringFailure("fovea: \(warning)\n") }
  }

  private func similarityTable(
    _ embedder: TextEmbedder, _ input: EmbedInput, _ progress: EvaluationProgress
  ) throws -> String {
    let embeddings = try embedder.embedNow(
      input.items, 0..<input.items.count, prompt: options.embeddingPrompt, options: options.embeddingOptions
    ) { _ in if Interrupt.isRequested { throw ExitCode(Interrupt.exitCode) } }
    let vectors = embeddings.map(\.values)
    return try embedder.similarity.matrix(vectors, vectors).map { row in
      row.map { value in
        let text = fixed(Double(value), 4)
        return String(repeating: " ", count: max(0, 8 - text.count)) + text
      }.joined(separator: " ") + "\n"
    }.joined()
  }
}

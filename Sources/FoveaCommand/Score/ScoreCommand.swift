import ArgumentParser
import Fovea

/// `fovea score`: log-probabilities of given continuations.
struct ScoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score", abstract: "Give the log-probabilities of texts and continuations.",
    discussion: """
      Reads a JSON object a line, and writes one for each in the same order. A request is {"context": …, \
      "continuation": …}; {"context": …, "choices": […]} with "delimiter" put before each choice; or {"text": …}, \
      scored whole in windows as lm-eval's rolling requests. Ids may be given instead of text: context_tokens with \
      continuation_tokens, or text_tokens. An "id" comes back as a string.

      Texts are split as lm-eval does: white space at the end of a context moves to the continuation. What requests of a \
      batch share at their beginning is evaluated once; results are the same for any batch.
      """)

  @Argument(help: "The requests; - for standard input.")
  var file: String = "-"

  @Option(help: ArgumentHelp("Requests taken together.", valueName: "n"))
  var batch: Int = 4096

  @Option(help: ArgumentHelp("The most tokens evaluated together (default: the model's context).", valueName: "n"))
  var contextLength: Int?

  @Option(
    help: ArgumentHelp(
      "The token in the place of an empty context (default: the tokenizer's beginning of text).", valueName: "id"))
  var prefixToken: Int?

  @Flag(
    inversion: .prefixedNo,
    help: "Add special tokens to contexts and texts (default: as the tokenizer's settings say).")
  var specialTokens: Bool?

  @OptionGroup var cacheFormat: CacheFormatOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write counts of tokens and the speed to standard error.")
  var verbose = false

  func validate() throws {
    guard batch >= 1 else { throw ValidationError("--batch is \(batch), expected at least 1") }
  }

  func run() async throws {
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    Interrupt.catchOnce()
    try await stream.perform { try score(folder, on: stream) }
  }

  private func score(_ folder: String, on stream: ComputeStream) throws {
    let progress = EvaluationProgress()
    defer { progress.finish() }
    let model = try DecoderModel.load(
      folder: folder, precision: compute.precision, stream: stream, cacheFormat: cacheFormat.format())
    let limit = model.configuration.contextLength
    guard (2...limit).contains(contextLength ?? limit) else {
      throw CommandError(.usage, "--context-length is \(contextLength ?? 0), expected 2 to \(limit), the model's limit")
    }
    let input = try InputFile(file)
    let reader = try reader(folder, model)
    let requests = try input.jsonLines().map { number, members in
      do {
        return try reader.request(members)
      } catch let error as any FoveaError {
        throw CommandError(error.category, "\(input.name): line \(number): \(error.description)")
      }
    }
    let scorer = ContinuationScorer(model: model, contextLength: contextLength)
    let clock = ContinuousClock()
    let start = clock.now
    for first in stride(from: 0, to: requests.count, by: batch) {
      let group = requests[first..<min(requests.count, first + batch)]
      let scores = try scorer.scores(group.flatMap(\.parts)) { _ in
        if Interrupt.isRequested { throw ExitCode(Interrupt.exitCode) }
      }
      progress.update(
        "\(scorer.evaluatedTokenCount) tokens", doneCount: group.endIndex, resumedCount: 0, count: requests.count,
        duration: clock.now - start)
      var rest = scores[...]
      var lines = ""
      for request in group {
        lines += try ScoreResponse.line(request, rest.prefix(request.parts.count))
        rest = rest.dropFirst(request.parts.count)
      }
      try StandardStream.output.write(lines)
    }
    if verbose { try StandardStream.error.write(table(scorer, requests.count, clock.now - start)) }
  }

  private func reader(_ folder: String, _ model: DecoderModel) throws -> ScoreRequestReader {
    let tokenizer = try TextGenerator.tokenizerIfPresent(folder: folder)
    try tokenizer?.checkVocabulary(fitsModelOf: model.configuration.vocabularySize, folder: folder)
    let encoding = tokenizer.map {
      ContinuationEncoding(tokenizer: $0, prefixToken: prefixToken, addsSpecialTokens: specialTokens)
    }
    let configuration = model.configuration
    return ScoreRequestReader(
      encoding: encoding,
      prefixToken: encoding?.prefixToken ?? prefixToken ?? configuration.beginningOfTextToken
        ?? configuration.endOfTextTokens.first,
      contextLength: contextLength ?? configuration.contextLength)
  }

  private func table(_ scorer: ContinuationScorer, _ requestCount: Int, _ duration: Duration) -> String {
    tableText([
      ("requests", String(requestCount)),
      ("evaluated", "\(scorer.evaluatedTokenCount) tokens, \(scorer.reusedTokenCount) more were shared"),
      ("speed", "\(fixed(Double(scorer.evaluatedTokenCount) / duration.seconds, 0)) tokens/s"),
    ])
  }
}

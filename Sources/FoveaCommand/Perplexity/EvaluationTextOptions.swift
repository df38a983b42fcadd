import ArgumentParser
import Fovea

/// Which text `fovea perplexity` reads.
struct EvaluationTextOptions: ParsableArguments {
  @Argument(help: "The text; - for standard input.")
  var file: String?

  @Flag(help: "The file holds a JSON object a line, each with one document.")
  var jsonl = false

  @Option(help: ArgumentHelp("The member of each object that holds the text.", valueName: "name"))
  var field: String = "text"

  @Option(help: ArgumentHelp("Read token ids from a file instead of a text.", valueName: "path"))
  var tokens: String?

  @Option(
    help: ArgumentHelp(
      "The token put before a text or in the place of a chunk's first (default: the tokenizer's).", valueName: "id"))
  var prefixToken: Int?

  @Flag(
    inversion: .prefixedNo,
    help: "Add the special tokens that the tokenizer's settings ask for (default: yes, but no for rolling).")
  var specialTokens: Bool?

  func validate() throws {
    guard file == nil || tokens == nil else { throw ValidationError("give a text or --tokens, not both") }
    guard !jsonl || file != nil else { throw ValidationError("--jsonl goes with a file") }
  }

  /// Reads and encodes the text.
  func read(
    method: PerplexityMethod, tokenizer: (any Tokenizer)?, configuration: ModelConfiguration, folder: String
  ) throws -> EvaluationText {
    if let tokens {
      let ids = try InputFile(tokens).tokens()
      return EvaluationText(tokens: ids, method: method, configuration: configuration, prefixToken: prefixToken)
    }
    guard let file else { throw ValidationError("give a text to evaluate, or --tokens") }
    guard let tokenizer else {
      throw CommandError(.missingInput, "\(folder): holds no tokenizer that Fovea can read; give --tokens")
    }
    let input = try InputFile(file)
    let texts = jsonl ? try documents(input) : [try input.text()]
    return try EvaluationText(
      texts, method: method, tokenizer: tokenizer, prefixToken: prefixToken, addSpecialTokens: specialTokens)
  }

  private func documents(_ input: InputFile) throws -> [String] {
    try input.jsonLines().map { number, members in
      guard case .string(let text)? = members[field] else {
        throw CommandError(.badData, "\(input.name): line \(number): \"\(field)\" is not there or no string")
      }
      return text
    }
  }
}

import ArgumentParser
import Fovea

/// How tokens are chosen and where the text ends. What is not given comes from the model's `generation_config.json`.
struct SamplingArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The most tokens to generate, or 'unlimited' (default: the model's, else 256).", valueName: "n"))
  var maxTokens: TokenLimit?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "0 takes the likeliest token; higher is more varied (default: the model's, else 0).", valueName: "t"))
  var temperature: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among the k likeliest tokens; 0 for all (default: the model's, else 0).", valueName: "k")
  )
  var topK: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Choose among the fewest tokens that have this probability together (default: the model's, else 1).",
      valueName: "p"))
  var topP: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Drop tokens less likely than this times the likeliest (default: the model's, else 0).", valueName: "p"))
  var minP: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Make tokens of the text so far less likely (default: the model's, else 1).", valueName: "x"))
  var repetitionPenalty: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How many latest tokens the repetition penalty looks at (default: all).", valueName: "n"))
  var repetitionWindow: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Subtract this from a logit for each time its token was generated.", valueName: "x"))
  var frequencyPenalty: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Subtract this once from the logits of generated tokens.", valueName: "x"))
  var presencePenalty: Double?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Add to the logit of a token; -inf forbids it. May be repeated.", valueName: "id:value"))
  var logitBias: [LogitBias] = []

  @Option(help: ArgumentHelp("The same seed gives the same text (default: another each time).", valueName: "n"))
  var seed: UInt64?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("End before this text. May be repeated.", valueName: "text"))
  var stop: [String] = []

  @Flag(help: "Go on after an end-of-text token.")
  var ignoreEos = false

  func validate() throws {
    do {
      try applied(to: GenerationOptions()).validate()
    } catch GenerationError.invalidOption(let name, let value, let expected) {
      throw ValidationError("\(SamplingArguments.spelling(of: name)) is \(value), expected \(expected)")
    }
  }

  /// The model's options with those given on the command line in their place.
  func applied(to defaults: GenerationOptions) -> GenerationOptions {
    var options = defaults
    options.maximumTokens = maxTokens?.count ?? options.maximumTokens
    options.stopStrings = stop
    options.ignoresEndOfText = ignoreEos
    options.sampling.temperature = temperature ?? options.sampling.temperature
    options.sampling.topK = topK ?? options.sampling.topK
    options.sampling.topP = topP ?? options.sampling.topP
    options.sampling.minP = minP ?? options.sampling.minP
    options.sampling.repetitionPenalty = repetitionPenalty ?? options.sampling.repetitionPenalty
    options.sampling.repetitionWindow = repetitionWindow ?? options.sampling.repetitionWindow
    options.sampling.frequencyPenalty = frequencyPenalty ?? options.sampling.frequencyPenalty
    options.sampling.presencePenalty = presencePenalty ?? options.sampling.presencePenalty
    for bias in logitBias { options.sampling.logitBias[bias.token] = bias.value }
    options.sampling.seed = seed ?? options.sampling.seed
    return options
  }

  /// `--top-p` for `topP`; the few whose option is not the property in hyphens are listed.
  private static func spelling(of property: String) -> String {
    let special = ["maximumTokens": "--max-tokens", "stopStrings": "--stop"]
    return special[property]
      ?? property.reduce(into: "--") { name, letter in
        name += letter.isUppercase ? "-" + letter.lowercased() : String(letter)
      }
  }
}

/// The value of `--max-tokens`.
struct TokenLimit: ExpressibleByArgument {
  let count: Int

  init?(argument: String) {
    guard argument != "unlimited" else {
      count = GenerationOptions.unlimitedTokens
      return
    }
    guard let count = Int(argument) else { return nil }
    self.count = count
  }
}

/// The value of `--logit-bias`.
struct LogitBias: ExpressibleByArgument {
  let token: Int
  let value: Double

  init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let token = Int(parts[0]), let value = Double(parts[1]) else { return nil }
    self.token = token
    self.value = value
  }
}

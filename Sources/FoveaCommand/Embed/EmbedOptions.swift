import ArgumentParser
import Fovea

/// How `fovea embed` makes vectors.
struct EmbedOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Put the model's prompt of this name before each text.", valueName: "name"))
  var promptName: String?

  @Option(help: ArgumentHelp("Put this before each text instead of the model's default prompt.", valueName: "text"))
  var prompt: String?

  @Option(help: ArgumentHelp("Keep the first values of each vector only (Matryoshka).", valueName: "n"))
  var dimensions: Int?

  @Flag(inversion: .prefixedNo, help: "Give vectors length 1 (default: as the model says).")
  var normalize: Bool?

  @Option(
    help: ArgumentHelp(
      "How hidden states become a vector, instead of what the model says: one or more of cls, max, mean, "
        + "mean_sqrt_len_tokens, weightedmean, lasttoken, with commas.", valueName: "modes"))
  var pooling: PoolingModes?

  @Flag(inversion: .prefixedNo, help: "Cut texts that are longer than the model allows, instead of failing.")
  var truncate = true

  @Option(help: ArgumentHelp("The most tokens evaluated together (default: what suits the model).", valueName: "n"))
  var batchTokens: Int?

  func validate() throws {
    guard batchTokens ?? 1 >= 1 else {
      throw ValidationError("--batch-tokens is \(batchTokens ?? 0), expected at least 1")
    }
    guard dimensions ?? 1 >= 1 else { throw ValidationError("--dimensions is \(dimensions ?? 0), expected at least 1") }
    guard prompt == nil || promptName == nil else { throw ValidationError("give --prompt or --prompt-name, not both") }
  }

  var embeddingPrompt: EmbeddingPrompt {
    if let prompt { return .text(prompt) }
    return promptName.map(EmbeddingPrompt.named) ?? .modelDefault
  }

  var embeddingOptions: EmbeddingOptions {
    EmbeddingOptions(
      dimensions: dimensions, normalizes: normalize, pooling: pooling?.modes, refusesTruncation: !truncate,
      batchTokenCount: batchTokens)
  }

  /// What vectors depend on, for the state of a job.
  var setup: [String: String] {
    var setup: [String: String] = [:]
    setup["prompt"] = prompt
    setup["prompt name"] = promptName
    setup["dimensions"] = dimensions.map(String.init)
    setup["normalize"] = normalize.map(String.init)
    setup["pooling"] = pooling?.modes.map(\.rawValue).joined(separator: ",")
    return setup
  }
}

/// Pooling modes with commas.
struct PoolingModes: ExpressibleByArgument {
  let modes: [PoolingMode]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    modes = parts.compactMap { PoolingMode(rawValue: String($0)) }
    guard modes.count == parts.count else { return nil }
  }
}

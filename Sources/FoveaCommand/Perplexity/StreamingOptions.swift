import ArgumentParser
import Fovea

/// The cache of `fovea perplexity --method streaming`.
struct StreamingOptions: ParsableArguments {
  enum Kind: String, CaseIterable, ExpressibleByArgument {
    case streaming
    case rotating
  }

  @Option(
    help: ArgumentHelp(
      "Whether streaming's cache counts positions inside the cache or in the text (default: streaming, inside)."))
  var cache: Kind?

  @Option(
    help: ArgumentHelp(
      "Tokens that streaming's cache holds, with the one at hand (default: 1024, or the model's context).",
      valueName: "n"))
  var maxCacheSize: Int?

  @Option(
    help: ArgumentHelp("How many of them are the text's first (default: 4); 0 for a plain window.", valueName: "n"))
  var sinkTokens: Int?

  /// The cache that is asked for; nil for the method's own.
  func policy(for method: PerplexityMethod, modelContextLength: Int) throws -> CachePolicy? {
    guard cache != nil || maxCacheSize != nil || sinkTokens != nil else { return nil }
    guard method == .streaming else {
      throw CommandError(.usage, "--cache, --max-cache-size and --sink-tokens go with --method streaming")
    }
    let size = maxCacheSize ?? min(CachePolicy.defaultMaxSize, modelContextLength)
    let sinks = sinkTokens ?? min(CachePolicy.defaultSinkTokens, max(0, size - 1))
    return cache == .rotating
      ? .rotating(maxSize: size, sinkTokens: sinks) : .streaming(maxSize: size, sinkTokens: sinks)
  }
}

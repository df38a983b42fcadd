import ArgumentParser
import Fovea

/// What is kept of a text.
struct CacheArguments: ParsableArguments {
  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case contiguous
    case rotating
    case streaming
  }

  @Option(
    help: ArgumentHelp(
      "What is kept of the text: all of it, up to the model's context; or its first tokens and the latest, at the "
        + "positions that they have in the text (rotating) or in the cache (streaming), for texts of any length "
        + "(default: contiguous)."))
  var cache: Kind?

  @Option(
    help: ArgumentHelp(
      "How many tokens a rotating or streaming cache holds (default: 1024, or the model's context where that is less).",
      valueName: "n"))
  var maxCacheSize: Int?

  @Option(
    help: ArgumentHelp("How many of the first tokens a rotating or streaming cache keeps (default: 4).", valueName: "n")
  )
  var sinkTokens: Int?

  func validate() throws {
    guard cache ?? .contiguous == .contiguous else { return }
    for (name, value) in [("--max-cache-size", maxCacheSize), ("--sink-tokens", sinkTokens)] where value != nil {
      throw ValidationError("\(name) needs --cache rotating or --cache streaming")
    }
  }

  /// Whether any of the options is given.
  var isGiven: Bool { cache != nil }

  /// What the options say for a model.
  func policy(contextLength: Int) -> CachePolicy {
    let size = maxCacheSize ?? min(CachePolicy.defaultMaxSize, contextLength)
    let sinks = sinkTokens ?? CachePolicy.defaultSinkTokens
    return switch cache ?? .contiguous {
    case .contiguous: .contiguous
    case .rotating: .rotating(maxSize: size, sinkTokens: sinks)
    case .streaming: .streaming(maxSize: size, sinkTokens: sinks)
    }
  }
}

/// What is kept beyond the end of the process.
struct SavedCacheArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write what the model has read to a file at the end; with --max-tokens 0 that is the prompt.", valueName: "path"))
  var saveCache: String?

  @Option(
    help: ArgumentHelp(
      "Go on with a file that --save-cache wrote: of the prompt only what comes after the saved text is evaluated, or "
        + "what comes after the part that both have in common.", valueName: "path"))
  var loadCache: String?

  /// Refuses a folder that cannot be written to before a long text is generated.
  ///
  /// - Throws: `CommandError` of category `usage`.
  func checkFolder() throws {
    guard let saveCache else { return }
    let folder = saveCache.lastIndex(of: "/").map { String(saveCache[...$0]) } ?? "."
    guard access(folder, W_OK) == 0 else {
      throw CommandError(.usage, "--save-cache: \(saveCache) cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  /// The memory of a text: loaded, or empty; nil where no option asks for one.
  ///
  /// - Throws: `CommandError` of category `usage` where `cache` asks for another cache than was saved; what loading throws.
  func memory(_ generator: TextGenerator, _ cache: CacheArguments) async throws -> GenerationMemory? {
    let policy = cache.policy(contextLength: generator.contextLength)
    guard let loadCache else { return cache.isGiven || saveCache != nil ? try generator.makeMemory(policy) : nil }
    let memory = try await generator.loadMemory(from: loadCache)
    guard !cache.isGiven || memory.policy == policy else {
      throw CommandError(.usage, "\(loadCache) holds a \(memory.policy), not the \(policy) that was asked for")
    }
    return memory
  }
}

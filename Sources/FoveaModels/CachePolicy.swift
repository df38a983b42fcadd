/// Which positions of a text a cache keeps.
public enum CachePolicy: Sendable, Hashable, CustomStringConvertible {
  /// All of them, up to the model's context.
  case contiguous
  /// The first `sinkTokens` and the latest, `maxSize` together with the token at hand. Positions are those of the text, as
  /// in mlx-lm's rotating cache.
  case rotating(maxSize: Int, sinkTokens: Int)
  /// The same tokens, but positions are indices inside the cache (StreamingLLM; Xiao et al. 2023, arXiv 2309.17453): the
  /// model never meets a position beyond `maxSize`, and a text may go on for ever.
  case streaming(maxSize: Int, sinkTokens: Int)

  /// What a cache of bounded size holds where nobody says otherwise.
  public static let defaultMaxSize = 1024
  /// How many of the first tokens are kept where nobody says otherwise: what StreamingLLM found to be enough.
  public static let defaultSinkTokens = 4

  /// The name of the policy without its sizes.
  public var name: String {
    switch self {
    case .contiguous: "contiguous"
    case .rotating: "rotating"
    case .streaming: "streaming"
    }
  }

  /// The policy with its sizes, as in errors.
  public var description: String {
    guard let (maxSize, sinkTokens) = bound else { return "\(name) cache" }
    return "\(name) cache of \(maxSize) positions, the first \(sinkTokens) kept"
  }

  /// The positions held at most, and how many of them are the first of the text; nil for the contiguous cache.
  public var bound: (maxSize: Int, sinkTokens: Int)? {
    switch self {
    case .contiguous: nil
    case .rotating(let maxSize, let sinkTokens), .streaming(let maxSize, let sinkTokens): (maxSize, sinkTokens)
    }
  }

  var isStreaming: Bool { if case .streaming = self { true } else { false } }

  /// The index inside the cache that `position` has as the latest of a text: what rotary frequencies may depend on.
  func frequencyIndex(_ position: Int) -> Int {
    if case .streaming(let maxSize, _) = self { min(position, maxSize - 1) } else { position }
  }

  /// The length that a text of `length` tokens shows to rotary scaling.
  func textLength(_ length: Int) -> Int { frequencyIndex(length - 1) + 1 }

  /// From which position on angles are computed without rounding to float32 on the way.
  ///
  /// Below, they are those of transformers to the bit. Far beyond its context a model sees differences of positions only,
  /// and the products p · f of float32 would be off by p · 2⁻²⁴ radians.
  var exactPosition: Int { bound?.maxSize ?? .max }

  /// What the policy makes of a layer's window: the window that remains, and the bound where sinks lie outside of it.
  func limits(ofWindow window: Int?) -> (window: Int?, bound: CacheBound?) {
    guard let (maxSize, sinkTokens) = bound else { return (window, nil) }
    // A window that ends before the sinks are cut off never shows them.
    if let window, window <= maxSize - sinkTokens { return (window, nil) }
    if sinkTokens == 0 { return (maxSize, nil) }
    return (window, CacheBound(size: maxSize, sinkCount: sinkTokens, isStreaming: isStreaming))
  }

  /// Checks the sizes, and that a model can do with them.
  ///
  /// - Throws: ``ModelError`` that names the size or the feature at fault.
  func check(_ configuration: ModelConfiguration) throws(ModelError) {
    guard let (maxSize, sinkTokens) = bound else { return }
    guard maxSize >= 1, maxSize <= configuration.contextLength else {
      throw ModelError(
        .invalidCacheSize,
        "a \(description): expected 1 to the model's context of \(configuration.contextLength)")
    }
    guard sinkTokens >= 0, sinkTokens < maxSize else {
      throw ModelError(
        .invalidCacheSize,
        "a \(description): expected to keep 0 to \(maxSize - 1)")
    }
    guard isStreaming else { return }
    for case .dynamic(_, let original) in configuration.rotaries.map(\.scaling) where maxSize > original {
      // Keys of a short text are turned by another base than those of a long one: no angle of a query fits both.
      throw ModelError(
        .unsupportedFeature,
        "'dynamic' rotary scaling with a streaming cache of \(maxSize) positions: expected at most the original context "
          + "of \(original), or a rotating cache")
    }
  }
}

/// How a cache of bounded size limits what one layer sees, where that is more than a window.
struct CacheBound: Sendable {
  /// The positions that the cache holds, that of the token at hand included.
  let size: Int
  /// How many of the first positions stay.
  let sinkCount: Int
  /// Whether windows of layers count indices inside the cache rather than positions of the text.
  let isStreaming: Bool

  /// How many of the latest positions stay once the cache is full.
  var recentCount: Int { size - sinkCount }
}

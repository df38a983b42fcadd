/// How positions turn into rotation angles: the `rope_parameters` or `rope_scaling` of a configuration.
public struct RotaryConfiguration: Sendable, Equatable {
  /// How the frequencies are scaled for contexts longer than the one the model was trained on.
  public enum Scaling: Sendable, Equatable {
    /// Not at all.
    case standard
    /// Positions divided by a factor (position interpolation, arXiv 2306.15595).
    case linear(factor: Double)
    /// The base grows with the sequence once it is longer than the original context (NTK-aware).
    case dynamic(factor: Double, originalContextLength: Int)
    /// Low frequencies interpolated, high ones kept, with a temperature on the angles' magnitude (arXiv 2309.00071).
    case yarn(YarnScaling)
    /// Llama 3.1's: wavelengths over a threshold are interpolated, with a smooth passage.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContextLength: Int)
  }

  /// YaRN's parameters.
  public struct YarnScaling: Sendable, Equatable {
    /// The extension of the context.
    public var factor: Double
    /// The context of training.
    public var originalContextLength: Int
    /// Rotations over the original context above which a frequency is kept.
    public var betaFast: Double
    /// Rotations over the original context below which a frequency is interpolated.
    public var betaSlow: Double
    /// Whether the bounds of the passage are rounded to whole dimensions.
    public var truncates: Bool
    /// What cosines and sines are multiplied by.
    public var attentionFactor: Double
  }

  /// The base of the frequencies, `rope_theta`.
  public var base: Double
  /// The share of the head dimension that is rotated.
  public var partialFactor: Double
  /// How the frequencies are scaled.
  public var scaling: Scaling
}

extension RotaryConfiguration {
  /// Reads both layouts: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (transformers 4).
  init(_ object: JSONObject, contextLength: Int) throws(ModelError) {
    let parameters: JSONObject?
    if let current = try object.object("rope_parameters") {
      parameters = current
    } else {
      parameters = try object.object("rope_scaling")
    }
    let bases = 1e-3...1e12
    let shares = 1e-3...1.0
    // Whichever of the two objects has the key; the inner one first.
    func number(_ key: String, in range: ClosedRange<Double>) throws(ModelError) -> Double? {
      if let number = try parameters?.number(key, in: range) { return number }
      return try object.number(key, in: range)
    }
    base = try number("rope_theta", in: bases) ?? 10_000
    partialFactor = try number("partial_rotary_factor", in: shares) ?? 1
    guard let parameters else {
      scaling = .standard
      return
    }
    let currentType = try parameters.string("rope_type")
    let olderType = try parameters.string("type")
    let type = currentType ?? olderType ?? "default"
    let originalKey = "original_max_position_embeddings"
    let innerOriginal = try parameters.wholeNumber(originalKey, in: 1...1 << 27)
    let outerOriginal = try object.wholeNumber(originalKey, in: 1...1 << 27)
    let original = innerOriginal ?? outerOriginal
    func factor(_ key: String = "factor") throws(ModelError) -> Double {
      guard let factor = try parameters.number(key, in: 1e-3...1e6) else {
        throw parameters.invalid(key, expected: "a number from 0.001 to 1000000.0")
      }
      return factor
    }
    switch type {
    case "default": scaling = .standard
    case "linear": scaling = .linear(factor: try factor())
    case "dynamic":
      scaling = .dynamic(factor: try factor(), originalContextLength: original ?? contextLength)
    case "yarn":
      scaling = .yarn(
        try YarnScaling(parameters, factor: factor(), originalContextLength: original ?? contextLength))
    case "llama3":
      let low = try factor("low_freq_factor")
      let high = try factor("high_freq_factor")
      guard high > low else {
        throw parameters.invalid("high_freq_factor", expected: "greater than low_freq_factor (\(low))")
      }
      guard let original else {
        throw parameters.invalid(originalKey, expected: "a whole number from 1 to \(1 << 27)")
      }
      scaling = .llama3(
        factor: try factor(), lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength: original)
    default:
      throw ModelError(
        kind: .unsupportedFeature,
        message:
          "\(object.file): the rope type '\(type)' is not supported; known are default, linear, dynamic, yarn, llama3")
    }
  }
}

extension RotaryConfiguration.YarnScaling {
  fileprivate init(_ parameters: JSONObject, factor: Double, originalContextLength: Int) throws(ModelError) {
    self.factor = factor
    self.originalContextLength = originalContextLength
    betaFast = try parameters.number("beta_fast", in: 1e-3...1e6) ?? 32
    betaSlow = try parameters.number("beta_slow", in: 1e-3...1e6) ?? 1
    guard betaFast >= betaSlow else {
      throw parameters.invalid("beta_fast", expected: "at least beta_slow (\(betaSlow))")
    }
    truncates = try parameters.bool("truncate") ?? true
    let scale = try parameters.number("mscale", in: 0...1e3) ?? 0
    let scaleAllDimensions = try parameters.number("mscale_all_dim", in: 0...1e3) ?? 0
    if let given = try parameters.number("attention_factor", in: 0...1e3) {
      attentionFactor = given
    } else if scale != 0, scaleAllDimensions != 0 {
      attentionFactor = Self.magnitude(factor, scale) / Self.magnitude(factor, scaleAllDimensions)
    } else {
      attentionFactor = Self.magnitude(factor, 1)
    }
  }

  /// 0.1 · scale · ln(factor) + 1, as the paper recommends; 1 where nothing is extended.
  private static func magnitude(_ factor: Double, _ scale: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * scale * logarithm(factor) + 1
  }
}

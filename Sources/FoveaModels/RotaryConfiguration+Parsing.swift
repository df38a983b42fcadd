internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension RotaryConfiguration {
  /// Reads the settings of either layout, with the precedence and defaults of transformers 5: `rope_scaling` before
  /// `rope_parameters` if it is not empty, and what these hold before what stands beside them.
  init(_ settings: ConfigurationReader, headDimension: Int, contextLength: Int) throws(ModelError) {
    var parameters = try settings.object("rope_scaling")
    if parameters?.isEmpty ?? true { parameters = try settings.object("rope_parameters") }
    if let key = parameters?.firstKeyOfObject {
      throw settings.unsupported(
        "'\(parameters?.prefix ?? "")\(printable(key))' is an object; Fovea has no rotary settings by kind of layer")
    }

    let isBase = { (value: Double) in value > 0 && value <= 1e30 }
    let expectedBase = "a positive number of at most 1e30"
    let ownBase = try parameters?.number("rope_theta", expectedBase, where: isBase)
    let outerBase = try settings.number("rope_theta", expectedBase, where: isBase)
    rotaryBase = ownBase ?? outerBase ?? 10_000
    try Self.refusePartialRotation(settings, parameters)
    partialFactor = 1

    let earlierType = try parameters?.string("type") ?? "default"
    let type = try parameters?.string("rope_type") ?? earlierType
    switch (type, parameters) {
    case ("default", _): scaling = .none
    case ("linear", let parameters?): scaling = .linear(factor: try parameters.requiredFactor())
    case ("dynamic", let parameters?):
      guard headDimension > 2 else { throw settings.unsupported("'dynamic' rotary scaling of heads of dimension 2") }
      scaling = .dynamic(factor: try parameters.requiredFactor(), originalContextLength: contextLength)
    case ("yarn", let parameters?):
      guard rotaryBase > 1 else { throw settings.unsupported("'yarn' with a 'rope_theta' of at most 1") }
      let original = try parameters.originalContextLength(settings, contextLength: contextLength)
      scaling = .yarn(try YarnScaling(parameters, original: original, contextLength: contextLength))
    case ("llama3", let parameters?):
      let original = try parameters.originalContextLength(settings, contextLength: contextLength)
      scaling = .llama3(try Llama3Scaling(parameters, original: original))
    default:
      throw settings.unsupported(
        "rotary type '\(printable(type))' is not one that Fovea has: default, linear, dynamic, yarn, llama3")
    }
  }

  /// The families built so far turn whole heads: transformers' Llama fails, or ignores it, where the factor is not 1.
  private static func refusePartialRotation(
    _ settings: ConfigurationReader, _ parameters: ConfigurationReader?
  ) throws(ModelError) {
    for reader in [parameters, settings].compactMap({ $0 }) {
      let expected = "a number above 0 and at most 1"
      let factor = try reader.number("partial_rotary_factor", expected, where: { $0 > 0 && $0 <= 1 })
      if let factor, factor != 1 {
        throw settings.unsupported("'\(reader.prefix)partial_rotary_factor' is \(factor); Fovea turns whole heads only")
      }
    }
  }
}

extension RotaryConfiguration.YarnScaling {
  /// Defaults as in transformers: β 32 and 1, also where they are 0; the attention factor from the others.
  fileprivate init(
    _ parameters: ConfigurationReader, original: Int, contextLength: Int
  ) throws(ModelError) {
    guard parameters.hasKey("factor") else { throw parameters.missing("factor", "a positive number, or null") }
    // DeepSeek's null means the ratio of the lengths.
    factor = try parameters.factor("factor") ?? Double(contextLength) / Double(original)
    originalContextLength = original
    let isBeta = { (value: Double) in value >= 0 && value <= 1e9 }
    let fast = try parameters.number("beta_fast", "a non-negative number", where: isBeta) ?? 0
    let slow = try parameters.number("beta_slow", "a non-negative number", where: isBeta) ?? 0
    betaFast = fast == 0 ? 32 : fast
    betaSlow = slow == 0 ? 1 : slow
    guard betaFast >= betaSlow else {
      throw parameters.invalid("beta_fast", "at least 'beta_slow' (\(betaSlow))", .number("\(betaFast)"))
    }
    truncates = try parameters.bool("truncate") ?? true

    let isScale = { (value: Double) in abs(value) <= 1e9 }
    let scale = try parameters.number("mscale", "a number", where: isScale) ?? 0
    let scaleOfAll = try parameters.number("mscale_all_dim", "a number", where: isScale) ?? 0
    let given = try parameters.factor("attention_factor")
    let derived =
      scale != 0 && scaleOfAll != 0
      ? Self.magnitude(factor, scale) / Self.magnitude(factor, scaleOfAll) : Self.magnitude(factor, 1)
    attentionFactor = given ?? derived
    guard attentionFactor > 0, attentionFactor <= 1e9 else {
      throw parameters.invalid("mscale", "such that the attention factor is positive", .number("\(scale)"))
    }
  }

  /// By how much attention sharpens at a stretch of `factor`: 0.1 · `scale` · ln(`factor`) + 1.
  private static func magnitude(_ factor: Double, _ scale: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1
  }
}

extension RotaryConfiguration.Llama3Scaling {
  fileprivate init(_ parameters: ConfigurationReader, original: Int) throws(ModelError) {
    factor = try parameters.requiredFactor()
    originalContextLength = original
    guard let low = try parameters.factor("low_freq_factor") else {
      throw parameters.missing("low_freq_factor", "a positive number")
    }
    guard let high = try parameters.factor("high_freq_factor") else {
      throw parameters.missing("high_freq_factor", "a positive number")
    }
    guard Float(high) > Float(low) else {
      throw parameters.invalid("high_freq_factor", "greater than 'low_freq_factor' (\(low))", .number("\(high)"))
    }
    lowFrequencyFactor = low
    highFrequencyFactor = high
  }
}

extension ConfigurationReader {
  /// A factor; bounded so that neither it nor its inverse leaves float32.
  fileprivate func factor(_ key: String) throws(ModelError) -> Double? {
    try number(key, "a number from 1e-9 to 1e9", where: { $0 >= 1e-9 && $0 <= 1e9 })
  }

  fileprivate func requiredFactor() throws(ModelError) -> Double {
    guard let factor = try factor("factor") else { throw missing("factor", "a positive number") }
    return factor
  }

  /// The context length before scaling: what stands beside the parameters, else in them, else the whole context.
  fileprivate func originalContextLength(
    _ settings: ConfigurationReader, contextLength: Int
  ) throws(ModelError) -> Int {
    let key = "original_max_position_embeddings"
    let outer = try settings.integer(key, in: 1...(1 << 27))
    let own = try integer(key, in: 1...(1 << 27))
    return outer ?? own ?? contextLength
  }
}

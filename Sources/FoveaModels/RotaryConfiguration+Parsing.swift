internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension RotaryConfiguration {
  /// The rotary settings of a model: one for all layers or, for families whose windowed layers have their own, that of
  /// the other layers and that of the windowed ones.
  static func all(
    _ settings: ConfigurationReader, traits: FamilyTraits, headDimension: Int, contextLength: Int
  ) throws(ModelError) -> [RotaryConfiguration] {
    guard let windowBase = traits.windowRotaryBase else {
      return [
        try RotaryConfiguration(
          settings, try parameters(settings), traits: traits, headDimension: headDimension,
          contextLength: contextLength)
      ]
    }
    // Transformers 5 has an object for each kind of layer; transformers 4 has settings of its own for the windowed ones,
    // which `rope_scaling` leaves alone.
    let kinds = try settings.object("rope_parameters")
    let scaling = try settings.object("rope_scaling")
    let parameters = scaling?.isEmpty == false ? scaling : try kinds?.object("full_attention")
    var full = try RotaryConfiguration(
      settings, parameters, traits: traits, headDimension: headDimension, contextLength: contextLength,
      readsOuterLength: false)
    if let kind = try kinds?.object("full_attention"), let base = try kind.base() { full.rotaryBase = base }
    var windowTraits = traits
    windowTraits.rotaryBase = try settings.base("rope_local_base_freq") ?? windowBase
    let window = try RotaryConfiguration(
      settings, try kinds?.object("sliding_attention"), traits: windowTraits, headDimension: headDimension,
      contextLength: contextLength, readsOuterBase: false, readsOuterLength: false)
    return [full, window]
  }

  /// `rope_scaling` if it is not empty, else `rope_parameters`.
  private static func parameters(_ settings: ConfigurationReader) throws(ModelError) -> ConfigurationReader? {
    var parameters = try settings.object("rope_scaling")
    if parameters?.isEmpty ?? true { parameters = try settings.object("rope_parameters") }
    if let key = parameters?.firstKeyOfObject {
      throw settings.unsupported(
        "'\(parameters?.prefix ?? "")\(printable(key))' is an object; this family has one rotary setting for all layers"
      )
    }
    return parameters
  }

  /// Reads the settings of either layout, with the precedence and defaults of transformers 5: what `parameters` hold
  /// before what stands beside them.
  private init(
    _ settings: ConfigurationReader, _ parameters: ConfigurationReader?, traits: FamilyTraits, headDimension: Int,
    contextLength: Int, readsOuterBase: Bool = true, readsOuterLength: Bool = true
  ) throws(ModelError) {
    let outerBase = readsOuterBase ? try settings.base() : nil
    rotaryBase = try parameters?.base() ?? outerBase ?? traits.rotaryBase
    partialFactor = try Self.partialFactor(
      [parameters, settings].compactMap { $0 }, isAllowed: traits.hasPartialRotation)
    let dimension = Int(Double(headDimension) * partialFactor)
    guard dimension > 0, dimension % 2 == 0 else {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'partial_rotary_factor' (\(partialFactor)) of a head dimension of \(headDimension) must be an even number of values"
      )
    }

    guard let parameters else {
      scaling = traits.rotaryScaling
      return
    }
    let earlierType = try parameters.string("type") ?? "default"
    var type = try parameters.string("rope_type") ?? earlierType
    if traits.longRotaryNames.contains(type) { type = "longrope" }
    let outer = readsOuterLength ? settings : nil
    switch type {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try parameters.requiredFactor())
    case "dynamic":
      guard headDimension > 2 else { throw settings.unsupported("'dynamic' rotary scaling of heads of dimension 2") }
      scaling = .dynamic(factor: try parameters.requiredFactor(), originalContextLength: contextLength)
    case "yarn":
      guard rotaryBase > 1 else { throw settings.unsupported("'yarn' with a 'rope_theta' of at most 1") }
      let original = try parameters.originalContextLength(outer, traits: traits, contextLength: contextLength)
      scaling = .yarn(try YarnScaling(parameters, original: original, contextLength: contextLength))
    case "llama3":
      let original = try parameters.originalContextLength(outer, traits: traits, contextLength: contextLength)
      scaling = .llama3(try Llama3Scaling(parameters, original: original))
    case "longrope":
      let original = try parameters.originalContextLength(outer, traits: traits, contextLength: contextLength)
      scaling = .long(
        try LongScaling(parameters, original: original, contextLength: contextLength, pairCount: dimension / 2))
    default:
      throw settings.unsupported(
        "rotary type '\(printable(type))' is not one that Fovea has: default, linear, dynamic, yarn, llama3, longrope")
    }
  }

  /// Transformers fails, or ignores the factor, where a family that does not know it has one that is not 1.
  private static func partialFactor(
    _ readers: [ConfigurationReader], isAllowed: Bool
  ) throws(ModelError) -> Double {
    for reader in readers {
      let expected = "a number above 0 and at most 1"
      let factor = try reader.number("partial_rotary_factor", expected, where: { $0 > 0 && $0 <= 1 })
      guard let factor else { continue }
      if factor != 1, !isAllowed {
        throw reader.unsupported(
          "'\(reader.prefix)partial_rotary_factor' is \(factor); this family turns whole heads only")
      }
      return factor
    }
    return 1
  }
}

extension RotaryConfiguration.LongScaling {
  /// Defaults as in transformers: the factor is the ratio of the lengths, the attention factor follows from it.
  fileprivate init(
    _ parameters: ConfigurationReader, original: Int, contextLength: Int, pairCount: Int
  ) throws(ModelError) {
    func factors(_ key: String) throws(ModelError) -> [Double] {
      let expected = "a list of \(pairCount) numbers from 1e-9 to 1e9, for the 'longrope' type"
      guard let value = parameters[key] else { throw parameters.missing(key, expected) }
      guard case .array(let elements) = value else { throw parameters.invalid(key, expected, value) }
      let numbers = elements.compactMap(\.double).filter { $0 >= 1e-9 && $0 <= 1e9 }
      guard numbers.count == pairCount, elements.count == pairCount else {
        throw parameters.invalid(key, expected, value)
      }
      return numbers
    }
    shortFactors = try factors("short_factor")
    longFactors = try factors("long_factor")
    originalContextLength = original
    let factor = try parameters.factor("factor") ?? Double(contextLength) / Double(original)
    let derived = factor <= 1 || original < 2 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
    attentionFactor = try parameters.factor("attention_factor") ?? derived
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
  static func magnitude(_ factor: Double, _ scale: Double) -> Double {
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

  /// A base of frequencies.
  fileprivate func base(_ key: String = "rope_theta") throws(ModelError) -> Double? {
    try number(key, "a positive number of at most 1e30", where: { $0 > 0 && $0 <= 1e30 })
  }

  /// The context length before scaling: what stands beside the parameters, if that counts, else in them, else the whole
  /// context. Where a family has a default for the first, that counts before what the parameters say.
  fileprivate func originalContextLength(
    _ settings: ConfigurationReader?, traits: FamilyTraits, contextLength: Int
  ) throws(ModelError) -> Int {
    let key = "original_max_position_embeddings"
    let outer = try settings?.integer(key, in: 1...(1 << 27))
    let own = try integer(key, in: 1...(1 << 27))
    return outer ?? traits.originalContextLength ?? own ?? contextLength
  }
}

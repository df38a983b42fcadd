internal import FoveaCore

extension ModelConfiguration {
  /// Bounds of the sizes: far above any model, and low enough that a product of any three fits in 63 bits.
  private enum Limit {
    static let hiddenSize = 1 << 20
    static let intermediateSize = 1 << 21
    static let layerCount = 10_000
    static let headCount = 1 << 14
    static let headDimension = 1 << 13
    static let vocabularySize = 1 << 24
    static let contextLength = 1 << 27
    static let expertCount = 1 << 14
  }

  init(_ file: ConfigurationReader, generation: ConfigurationReader?) throws(ModelError) {
    guard let modelType = try file.string("model_type") else {
      throw file.missing("model_type", "the name of a family")
    }
    guard let family = ModelFamily(rawValue: modelType) else {
      guard EncoderFamily(rawValue: modelType) == nil else {
        throw file.unsupported(
          "'model_type' is '\(modelType)', an encoder: it has hidden states to embed texts, but predicts no tokens")
      }
      let known = ModelFamily.allCases.map(\.rawValue).joined(separator: ", ")
      throw ModelError(
        .unknownModelType, file: file.file,
        "'model_type' is '\(printable(modelType))', which Fovea does not know; it knows \(known)")
    }
    self.modelType = modelType
    self.family = family
    let traits = family.traits
    // Models that see as well as read keep their language model's settings apart.
    let settings = family == .gemma3 ? try file.object("text_config") ?? file : file

    hiddenSize = try settings.requiredSize("hidden_size", limit: Limit.hiddenSize)
    intermediateSize = try settings.requiredSize("intermediate_size", limit: Limit.intermediateSize)
    layerCount = try settings.requiredSize("num_hidden_layers", limit: Limit.layerCount)
    headCount = try settings.size("num_attention_heads", absent: traits.headCount, limit: Limit.headCount)
    keyValueHeadCount =
      try settings.integer("num_key_value_heads", in: 1...Limit.headCount)
      ?? (settings.hasKey("num_key_value_heads") ? headCount : traits.keyValueHeadCount ?? headCount)
    headDimension = try Self.headDimension(settings, traits: traits, hiddenSize: hiddenSize, headCount: headCount)
    vocabularySize = try settings.size("vocab_size", absent: traits.vocabularySize, limit: Limit.vocabularySize)
    let trainedLength =
      try settings.integer("max_position_embeddings", in: 1...Limit.contextLength) ?? traits.contextLength
    guard headCount % keyValueHeadCount == 0 else {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'num_attention_heads' (\(headCount)) must be a multiple of 'num_key_value_heads' (\(keyValueHeadCount))")
    }
    rotaries = try RotaryConfiguration.all(
      settings, traits: traits, headDimension: headDimension, contextLength: trainedLength)
    contextLength = min(rotaries[0].contextLength(trainedLength), Limit.contextLength)

    let halvesWindow = family == .gemma3Text ? try settings.bool("use_bidirectional_attention") ?? false : false
    let isCausal = try settings.bool("is_causal") ?? true
    isBidirectional = halvesWindow || !isCausal
    experts = try Self.experts(settings, traits: traits)
    layers = try LayerConfiguration.all(
      settings, traits: traits, layerCount: layerCount, contextLength: contextLength,
      reach: halvesWindow ? .half : isCausal ? .behind : .bothWays)

    let expectedEpsilon = "a positive number of at most 1"
    let epsilon = try settings.number(
      traits.normEpsilonKey, expectedEpsilon, where: { Float($0) > 0 && $0 <= 1 })
    normEpsilon = Float(epsilon ?? traits.normEpsilon)
    attentionBias = try settings.bias(traits.attentionBias)
    outputBias = traits.hasOutputBias && attentionBias
    feedForwardBias = try settings.bias(traits.feedForwardBias)
    let tiesOuter = try file.bool("tie_word_embeddings")
    tiesEmbeddings = try settings.bool("tie_word_embeddings") ?? tiesOuter ?? traits.tiesEmbeddings
    activation = try Self.activation(settings, family: family)
    attentionScale = try Self.attentionScale(settings, traits: traits, headDimension: headDimension)
    attentionSoftCap =
      traits.hasAttentionSoftCap
      ? try settings.softCap("attn_logit_softcapping", absent: traits.attentionSoftCap) : nil
    logitSoftCap =
      traits.hasLogitSoftCap ? try settings.softCap("final_logit_softcapping", absent: traits.logitSoftCap) : nil
    let hasMultipliers = traits.hasMultipliers
    embeddingMultiplier =
      traits.scalesEmbeddings
      ? Float(Double(hiddenSize).squareRoot()) : try settings.multiplier("embedding_multiplier", isRead: hasMultipliers)
    residualMultiplier = try settings.multiplier("residual_multiplier", isRead: hasMultipliers)
    logitMultiplier = 1 / (try settings.multiplier("logits_scaling", isRead: hasMultipliers))

    let readers = settings.prefix.isEmpty ? [file] : [settings, file]
    beginningOfTextToken = try Self.tokens("bos_token_id", readers, vocabularySize: vocabularySize)?.first
    let endOfTextTokens = try Self.tokens("eos_token_id", readers, vocabularySize: vocabularySize) ?? []
    self.endOfTextTokens =
      try generation?.tokens("eos_token_id", vocabularySize: vocabularySize) ?? endOfTextTokens
    elementType = try Self.elementType(readers)
    let outerQuantization = try QuantizationConfiguration.read(file)
    quantization = try QuantizationConfiguration.read(settings) ?? outerQuantization
    for reader in readers { try Self.refuseUnsupported(reader, family: family) }
  }

  private static func headDimension(
    _ settings: ConfigurationReader, traits: FamilyTraits, hiddenSize: Int, headCount: Int
  ) throws(ModelError) -> Int {
    let absent = settings.hasKey("head_dim") ? nil : traits.headDimension
    if let dimension = try settings.integer("head_dim", in: 1...Limit.headDimension) ?? absent {
      guard dimension % 2 == 0 else {
        throw ModelError(
          .invalidSetting, file: settings.file, "'head_dim' must be even for rotary embeddings, found \(dimension)")
      }
      return dimension
    }
    guard hiddenSize % headCount == 0, hiddenSize / headCount % 2 == 0, hiddenSize / headCount <= Limit.headDimension
    else {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'hidden_size' (\(hiddenSize)) over 'num_attention_heads' (\(headCount)) must be an even head dimension "
          + "of at most \(Limit.headDimension), as there is no 'head_dim'")
    }
    return hiddenSize / headCount
  }

  private static func activation(_ settings: ConfigurationReader, family: ModelFamily) throws(ModelError) -> Activation
  {
    let traits = family.traits
    var activation = traits.activation
    if let name = try settings.string(traits.activationKey) {
      guard let named = Activation(transformersName: name) else {
        throw settings.unsupported(
          "'\(settings.prefix)\(traits.activationKey)' is '\(printable(name))', an activation that Fovea does not have; "
            + "it has silu, gelu and gelu_pytorch_tanh")
      }
      activation = named == .gelu && traits.takesGeluForTanh ? .geluTanh : named
    }
    guard family == .gptOSS else { return activation }
    let isBound = { (value: Double) in value > 0 && value <= 1e9 }
    let gain = try settings.number("swiglu_alpha", "a positive number", where: isBound) ?? 1.702
    let limit = try settings.number("swiglu_limit", "a positive number", where: isBound) ?? 7
    return .clampedSwish(gain: Float(gain), limit: Float(limit))
  }

  private static func attentionScale(
    _ settings: ConfigurationReader, traits: FamilyTraits, headDimension: Int
  ) throws(ModelError) -> Float {
    let expected = "a positive number of at most 1e9"
    let isScale = { (value: Double) in value >= 1e-9 && value <= 1e9 }
    switch traits.attentionScale {
    case .headDimension: return 1 / Float(headDimension).squareRoot()
    case .inverseSquareRoot(let key, let absent):
      return Float(1 / (try settings.number(key, expected, where: isScale) ?? absent).squareRoot())
    case .factor(let key, let absent): return Float(try settings.number(key, expected, where: isScale) ?? absent)
    }
  }

  private static func experts(
    _ settings: ConfigurationReader, traits: FamilyTraits
  ) throws(ModelError) -> ExpertConfiguration? {
    guard let trait = traits.experts else { return nil }
    // Transformers takes either name.
    let own = try settings.integer("num_experts", in: 1...Limit.expertCount)
    let other = try settings.integer("num_local_experts", in: 1...Limit.expertCount)
    if let own, let other, own != other {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'num_experts' (\(own)) and 'num_local_experts' (\(other)) must be the same number")
    }
    let expertCount = own ?? other ?? trait.expertCount
    let expertsPerToken =
      try settings.integer("num_experts_per_tok", in: 1...Limit.expertCount) ?? trait.expertsPerToken
    guard expertsPerToken <= expertCount else {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'num_experts_per_tok' (\(expertsPerToken)) must be at most the number of experts (\(expertCount))")
    }
    let normalizes = try settings.bool("norm_topk_prob") ?? false
    return ExpertConfiguration(
      expertCount: expertCount, expertsPerToken: expertsPerToken,
      intermediateSize: try settings.size(
        trait.intermediateSizeKey, absent: trait.intermediateSize, limit: Limit.intermediateSize),
      normalizesWeights: trait.normalizesWeights ?? normalizes)
  }

  private static func tokens(
    _ key: String, _ readers: [ConfigurationReader], vocabularySize: Int
  ) throws(ModelError) -> [Int]? {
    for reader in readers {
      if let tokens = try reader.tokens(key, vocabularySize: vocabularySize) { return tokens }
    }
    return nil
  }

  private static func elementType(_ readers: [ConfigurationReader]) throws(ModelError) -> ElementType? {
    for reader in readers {
      let earlierName = try reader.string("torch_dtype")
      guard let name = try reader.string("dtype") ?? earlierName else { continue }
      return ElementType(rawValue: name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name)
    }
    return nil
  }

  /// Features that would change what the layers compute and that are not built: better refused than left out silently.
  private static func refuseUnsupported(
    _ settings: ConfigurationReader, family: ModelFamily
  ) throws(ModelError) {
    if family == .gemma3, try settings.bool("is_causal") == false {
      throw settings.unsupported("'\(settings.prefix)is_causal' is false, which Fovea does not have in gemma3")
    }
    guard family != .gemma3Text else { return }
    if try settings.bool("use_bidirectional_attention") == true {
      throw settings.unsupported(
        "'\(settings.prefix)use_bidirectional_attention' is true; Fovea has it in gemma3_text only")
    }
  }
}

extension ConfigurationReader {
  /// A size from 1 to `limit`, which must be there if there is no value for where it is absent.
  fileprivate func size(_ key: String, absent: Int?, limit: Int) throws(ModelError) -> Int {
    guard let absent else { return try requiredSize(key, limit: limit) }
    return try integer(key, in: 1...limit) ?? absent
  }

  fileprivate func bias(_ trait: BiasTrait) throws(ModelError) -> Bool {
    switch trait {
    case .none: false
    case .always: true
    case .setting(let key, let absent): try bool(key) ?? absent
    }
  }

  /// A soft-cap; null means none, as in transformers.
  fileprivate func softCap(_ key: String, absent: Double?) throws(ModelError) -> Float? {
    guard hasKey(key) else { return absent.map { Float($0) } }
    let cap = try number(key, "a number from 1e-6 to 1e9, or null", where: { $0 >= 1e-6 && $0 <= 1e9 })
    return cap.map { Float($0) }
  }

  /// A multiplier, 1 where it is absent or means nothing.
  fileprivate func multiplier(_ key: String, isRead: Bool) throws(ModelError) -> Float {
    guard isRead else { return 1 }
    let isMultiplier = { (value: Double) in value >= 1e-9 && value <= 1e9 }
    return Float(try number(key, "a positive number of at most 1e9", where: isMultiplier) ?? 1)
  }
}

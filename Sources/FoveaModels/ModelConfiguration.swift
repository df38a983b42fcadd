public import FoveaCore

/// What config.json and generation_config.json say of a model, checked and complete.
///
/// Both layouts are read: transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype`) and 5 (`rope_parameters`,
/// `dtype`). Settings that transformers lets a file leave out have its defaults. Sizes are bounded, so that products of
/// them cannot overflow.
public struct ModelConfiguration: Sendable, Equatable {
  /// `model_type`, as the file has it.
  public let modelType: String
  /// The family that builds the model.
  public let family: ModelFamily

  /// The width of the residual stream.
  public let hiddenSize: Int
  /// The width between the matrices of a feed-forward block.
  public let intermediateSize: Int
  /// The number of decoder layers.
  public let layerCount: Int
  /// The number of query heads.
  public let headCount: Int
  /// The number of key and value heads; divides ``headCount``.
  public let keyValueHeadCount: Int
  /// The width of a head; even. Heads together may be wider or narrower than ``hiddenSize``.
  public let headDimension: Int
  /// The number of token ids.
  public let vocabularySize: Int
  /// The most positions that the model is made for: `max_position_embeddings`, times the factor of `dynamic` rotary
  /// scaling, whose `max_position_embeddings` is the length before scaling.
  public let contextLength: Int

  /// What is added to the mean square in norms.
  public let normEpsilon: Float
  /// Whether the projections of attention have biases.
  public let attentionBias: Bool
  /// Whether the matrices of feed-forward blocks have biases.
  public let feedForwardBias: Bool
  /// Whether the output matrix is the embedding.
  public let tiesEmbeddings: Bool
  /// The function in feed-forward blocks.
  public let activation: Activation
  /// How positions turn queries and keys.
  public let rotary: RotaryConfiguration

  /// The token that starts a text, if there is one.
  public let beginningOfTextToken: Int?
  /// The tokens that end a text; those of generation_config.json where it names any.
  public let endOfTextTokens: [Int]
  /// The type that the weights were saved in; nil if the file does not say or Fovea has no such type. What counts is
  /// the type of each tensor.
  public let elementType: ElementType?

  /// The name of the configuration's file in a model's folder.
  public static let fileName = "config.json"
  /// The name of the file whose end-of-text tokens take precedence.
  public static let generationFileName = "generation_config.json"

  /// Reads config.json and, if there is one, generation_config.json of `folder`.
  ///
  /// - Throws: ``ModelError`` that names the file and the setting.
  public static func load(folder: String) throws(ModelError) -> ModelConfiguration {
    let path = "\(folder)/\(fileName)"
    guard let settings = try ConfigurationReader.read(path) else {
      throw ModelError(.missingFile, file: path, "there is no such file")
    }
    let generation = try ConfigurationReader.read("\(folder)/\(generationFileName)")
    return try ModelConfiguration(settings, generation: generation)
  }

  /// Parses the contents of config.json and, if it is given, of generation_config.json.
  ///
  /// - Parameter name: what errors call the first file.
  /// - Throws: ``ModelError`` that names the file and the setting.
  public init(
    parsing bytes: [UInt8], generationBytes: [UInt8]? = nil, name: String = ModelConfiguration.fileName
  ) throws(ModelError) {
    let settings = try ConfigurationReader(parsing: bytes, file: name)
    var generation: ConfigurationReader?
    if let generationBytes {
      generation = try ConfigurationReader(parsing: generationBytes, file: ModelConfiguration.generationFileName)
    }
    try self.init(settings, generation: generation)
  }
}

// MARK: Parsing

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
  }

  init(_ settings: ConfigurationReader, generation: ConfigurationReader?) throws(ModelError) {
    guard let modelType = try settings.string("model_type") else {
      throw settings.missing("model_type", "the name of a family")
    }
    guard let family = ModelFamily(rawValue: modelType) else {
      let known = ModelFamily.allCases.map(\.rawValue).joined(separator: ", ")
      throw ModelError(
        .unknownModelType, file: settings.file,
        "'model_type' is '\(printable(modelType))', which Fovea does not know; it knows \(known)")
    }
    self.modelType = modelType
    self.family = family

    hiddenSize = try settings.requiredSize("hidden_size", limit: Limit.hiddenSize)
    intermediateSize = try settings.requiredSize("intermediate_size", limit: Limit.intermediateSize)
    layerCount = try settings.requiredSize("num_hidden_layers", limit: Limit.layerCount)
    headCount = try settings.requiredSize("num_attention_heads", limit: Limit.headCount)
    keyValueHeadCount =
      try settings.integer("num_key_value_heads", in: 1...Limit.headCount)
      ?? family.defaultKeyValueHeadCount(headCount: headCount)
    headDimension = try Self.headDimension(settings, hiddenSize: hiddenSize, headCount: headCount)
    vocabularySize = try settings.requiredSize("vocab_size", limit: Limit.vocabularySize)
    let trainedLength =
      try settings.integer("max_position_embeddings", in: 1...Limit.contextLength) ?? family.defaultContextLength
    guard headCount % keyValueHeadCount == 0 else {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "'num_attention_heads' (\(headCount)) must be a multiple of 'num_key_value_heads' (\(keyValueHeadCount))")
    }

    let expectedEpsilon = "a positive number of at most 1"
    normEpsilon = Float(
      try settings.number("rms_norm_eps", expectedEpsilon, where: { Float($0) > 0 && $0 <= 1 }) ?? 1e-6)
    let attentionBias = try settings.bool("attention_bias") ?? false
    let feedForwardBias = try settings.bool("mlp_bias") ?? false
    self.attentionBias = attentionBias && family.hasOptionalBiases
    self.feedForwardBias = feedForwardBias && family.hasOptionalBiases
    tiesEmbeddings = try settings.bool("tie_word_embeddings") ?? family.defaultTiesEmbeddings
    activation = try Self.activation(settings, family: family)
    rotary = try RotaryConfiguration(settings, headDimension: headDimension, contextLength: trainedLength)
    contextLength = min(rotary.contextLength(trainedLength), Limit.contextLength)

    beginningOfTextToken = try settings.tokens("bos_token_id", vocabularySize: vocabularySize)?.first
    let endOfTextTokens = try settings.tokens("eos_token_id", vocabularySize: vocabularySize) ?? []
    self.endOfTextTokens =
      try generation?.tokens("eos_token_id", vocabularySize: vocabularySize) ?? endOfTextTokens
    elementType = try Self.elementType(settings)
    try Self.refuseUnsupported(settings, family: family, contextLength: contextLength)
  }

  private static func headDimension(
    _ settings: ConfigurationReader, hiddenSize: Int, headCount: Int
  ) throws(ModelError) -> Int {
    if let dimension = try settings.integer("head_dim", in: 1...Limit.headDimension) {
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

  private static func activation(
    _ settings: ConfigurationReader, family: ModelFamily
  ) throws(ModelError) -> Activation {
    let name = try settings.string("hidden_act") ?? "silu"
    guard let activation = Activation(transformersName: name), family.activations.contains(activation) else {
      throw settings.unsupported(
        "'hidden_act' is '\(printable(name))', an activation that Fovea does not have for \(family.rawValue)")
    }
    return activation
  }

  private static func elementType(_ settings: ConfigurationReader) throws(ModelError) -> ElementType? {
    let earlierName = try settings.string("torch_dtype")
    guard let name = try settings.string("dtype") ?? earlierName else { return nil }
    return ElementType(rawValue: name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name)
  }

  /// Features that would change what the layers compute and that are not built: better refused than left out silently.
  private static func refuseUnsupported(
    _ settings: ConfigurationReader, family: ModelFamily, contextLength: Int
  ) throws(ModelError) {
    for key in ["quantization_config", "quantization"] where settings[key] != nil {
      throw settings.unsupported("'\(key)' is set; Fovea does not read quantised weights")
    }
    if family.hasSlidingWindow {
      let window =
        settings.hasKey("sliding_window")
        ? try settings.integer("sliding_window", in: 1...Int.max) : family.defaultSlidingWindow
      // A window at least as long as the context hides nothing.
      if let window, window < contextLength {
        throw settings.unsupported(
          "'sliding_window' is \(window), shorter than the context of \(contextLength); Fovea has no sliding window")
      }
    }
    if case .array(let kinds)? = settings["layer_types"],
      let kind = kinds.first(where: { $0 != .string("full_attention") })
    {
      throw settings.unsupported("'layer_types' holds \(kind.summary); Fovea has full attention only")
    }
  }
}

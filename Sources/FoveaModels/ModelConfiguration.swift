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
  /// The width between the matrices of a feed-forward block, if it is not one of ``experts``.
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

  /// In what layers differ, first to last.
  public let layers: [LayerConfiguration]
  /// Whether a token attends to what follows it too, as in embedding models; windows then reach both ways.
  public let isBidirectional: Bool
  /// The experts of layers that have them.
  public let experts: ExpertConfiguration?

  /// What is added to the mean square, or the variance, in norms.
  public let normEpsilon: Float
  /// Whether the projections of attention have biases; see ``outputBias``.
  public let attentionBias: Bool
  /// Whether the projection of attention's outputs has a bias.
  public let outputBias: Bool
  /// Whether the matrices of feed-forward blocks have biases.
  public let feedForwardBias: Bool
  /// Whether the output matrix is the embedding, unless the checkpoint has both and they differ; see
  /// ``DecoderModel/tiesEmbeddings``.
  public let tiesEmbeddings: Bool
  /// The function in feed-forward blocks.
  public let activation: Activation
  /// How positions turn queries and keys: one setting, or several of which each layer names one.
  public let rotaries: [RotaryConfiguration]
  /// The first of ``rotaries``, that of layers that attend to everything before them.
  public var rotary: RotaryConfiguration { rotaries[0] }

  /// What scores of attention are multiplied by.
  public let attentionScale: Float
  /// Soft-cap of scores: s becomes cap · tanh(s / cap); nil: none.
  public let attentionSoftCap: Float?
  /// Soft-cap of logits.
  public let logitSoftCap: Float?
  /// What embeddings are multiplied by.
  public let embeddingMultiplier: Float
  /// What blocks add to the residual stream is multiplied by this.
  public let residualMultiplier: Float
  /// What logits are multiplied by.
  public let logitMultiplier: Float

  /// The token that starts a text, if there is one.
  public let beginningOfTextToken: Int?
  /// The tokens that end a text; those of generation_config.json where it names any.
  public let endOfTextTokens: [Int]
  /// The type that the weights were saved in; nil if the file does not say or Fovea has no such type. What counts is
  /// the type of each tensor.
  public let elementType: ElementType?

  /// How weights are quantised, if they are.
  public let quantization: QuantizationConfiguration?

  var normKind: NormKind { family.traits.norm }
  var queryKeyNorm: QueryKeyNorm { family.traits.queryKeyNorm }

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

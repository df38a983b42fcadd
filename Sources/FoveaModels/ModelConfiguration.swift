/// The families of decoders that are built.
public enum ModelFamily: String, Sendable, CaseIterable {
  /// Llama 1, 2, 3 and their relatives: RMSNorm, rotary positions, grouped queries, SwiGLU.
  case llama
}

/// Sizes and switches of a decoder, from config.json in the layout of transformers 4 or 5.
public struct ModelConfiguration: Sendable, Equatable {
  /// The family that `model_type` names.
  public var family: ModelFamily
  /// The width of the residual stream.
  public var hiddenSize: Int
  /// The width inside the feed-forward part.
  public var intermediateSize: Int
  /// The number of layers.
  public var layerCount: Int
  /// Query heads.
  public var headCount: Int
  /// Key/value heads, of which each serves `headCount` / `keyValueHeadCount` query heads.
  public var keyValueHeadCount: Int
  /// Elements of one head.
  public var headDimension: Int
  /// The number of token ids.
  public var vocabularySize: Int
  /// The most positions that the model was made for.
  public var contextLength: Int
  /// What the norms add to the mean square.
  public var normEpsilon: Float
  /// Whether the attention projections have biases.
  public var attentionBias: Bool
  /// Whether the feed-forward projections have biases.
  public var feedForwardBias: Bool
  /// Whether the output matrix is the embedding.
  public var tiesEmbeddings: Bool
  /// How positions turn into angles.
  public var rotary: RotaryConfiguration
  /// The token that begins a text, if there is one.
  public var beginningOfTextToken: Int?
  /// The tokens that end a text; those of generation_config.json take precedence.
  public var endOfTextTokens: [Int]

  /// `model_type` as written.
  public var modelType: String { family.rawValue }
}

/// The vector of one text.
public struct Embedding: Sendable, Equatable {
  /// The vector; all zeros for a text without tokens.
  public var values: [Float]
  /// The tokens that the vector was made of, special ones and those of the prompt included.
  public var tokenCount: Int
  /// How many tokens were cut off the text's end, since the model allows no more.
  public var truncatedTokenCount: Int

  /// Takes all values.
  public init(values: [Float], tokenCount: Int = 0, truncatedTokenCount: Int = 0) {
    self.values = values
    self.tokenCount = tokenCount
    self.truncatedTokenCount = truncatedTokenCount
  }

  /// Whether the vector is that of the text's beginning only.
  public var isTruncated: Bool { truncatedTokenCount > 0 }
}

/// What is put before each text.
public enum EmbeddingPrompt: Sendable, Equatable {
  /// What the model's settings name as its default, which mostly is nothing.
  case modelDefault
  /// Nothing.
  case none
  /// The model's prompt of this name, such as `query`.
  case named(String)
  /// This text.
  case text(String)
}

/// How texts are embedded; the defaults are the model's.
public struct EmbeddingOptions: Sendable, Equatable {
  /// Keep only the first values of each vector, for models that were trained so (Matryoshka; Kusupati et al. 2022, arXiv
  /// 2205.13147). Where vectors are normalised, this is done again afterwards.
  public var dimensions: Int?
  /// Whether vectors get length 1; nil: as the model says.
  public var normalizes: Bool?
  /// How hidden states become a vector, instead of what the model says.
  public var pooling: [PoolingMode]?
  /// Whether a text that is longer than the model allows is an error, instead of being cut and reported.
  public var refusesTruncation: Bool
  /// The most tokens evaluated together, unless a single text has more: bounds the memory, and changes no result; nil:
  /// the model's ``TokenEncoder/standardBatchTokenCount``.
  public var batchTokenCount: Int?

  /// The model's ways.
  public init(
    dimensions: Int? = nil, normalizes: Bool? = nil, pooling: [PoolingMode]? = nil, refusesTruncation: Bool = false,
    batchTokenCount: Int? = nil
  ) {
    self.dimensions = dimensions
    self.normalizes = normalizes
    self.pooling = pooling
    self.refusesTruncation = refusesTruncation
    self.batchTokenCount = batchTokenCount
  }
}

/// How far a call has come.
public struct EmbeddingProgress: Sendable, Equatable {
  /// Texts that have their vectors.
  public var embeddedTextCount: Int
  /// All texts of the call.
  public var textCount: Int
  /// Tokens evaluated so far.
  public var tokenCount: Int

  /// Takes all values.
  public init(embeddedTextCount: Int, textCount: Int, tokenCount: Int) {
    self.embeddedTextCount = embeddedTextCount
    self.textCount = textCount
    self.tokenCount = tokenCount
  }
}

internal import FoveaCore

/// What config.json says of an encoder, checked and complete. Settings that transformers lets a file leave out have its
/// defaults; sizes are bounded, so that products of them cannot overflow.
public struct EncoderConfiguration: Sendable, Equatable {
  /// The family that builds the model.
  public let family: EncoderFamily
  /// The width of the residual stream.
  public let hiddenSize: Int
  /// The width between the matrices of a feed-forward block.
  public let intermediateSize: Int
  /// The number of layers.
  public let layerCount: Int
  /// The number of heads.
  public let headCount: Int
  /// The number of token ids.
  public let vocabularySize: Int
  /// The number of learned positions, of which the first ``firstPosition`` are not those of a text.
  public let positionCount: Int
  /// The number of token types; 0 for none.
  public let tokenTypeCount: Int
  /// The token that pads texts in other libraries.
  public let paddingToken: Int
  /// What is added to variances.
  public let normEpsilon: Float
  /// The function between the matrices of a feed-forward block.
  public let activation: Activation

  /// The width of a head.
  public var headDimension: Int { hiddenSize / headCount }
  /// The learned position of a text's first token.
  public var firstPosition: Int { family.traits.offsetsPositions ? paddingToken + 1 : 0 }
  /// The most tokens of a text.
  public var contextLength: Int { max(0, positionCount - firstPosition) }

  /// Reads config.json of `folder`; nil if its `model_type` is no encoder's.
  ///
  /// - Throws: ``ModelError`` that names the file and the setting.
  public static func load(folder: String) throws(ModelError) -> EncoderConfiguration? {
    let path = "\(folder)/\(ModelConfiguration.fileName)"
    guard let settings = try ConfigurationReader.read(path) else {
      throw ModelError(.missingFile, file: path, "there is no such file")
    }
    return try EncoderConfiguration(settings)
  }

  /// Parses the contents of config.json; nil if its `model_type` is no encoder's.
  ///
  /// - Parameter name: what errors call the file.
  public init?(parsing bytes: [UInt8], name: String = ModelConfiguration.fileName) throws(ModelError) {
    try self.init(try ConfigurationReader(parsing: bytes, file: name))
  }

  private init?(_ file: ConfigurationReader) throws(ModelError) {
    guard let type = try file.string("model_type"), let family = EncoderFamily(rawValue: type) else { return nil }
    let traits = family.traits
    let keys = traits.keys
    self.family = family
    hiddenSize = try file.requiredSize(keys.hiddenSize, limit: 1 << 20)
    intermediateSize = try file.requiredSize(keys.intermediateSize, limit: 1 << 21)
    layerCount = try file.requiredSize(keys.layerCount, limit: 10_000)
    headCount = try file.requiredSize(keys.headCount, limit: 1 << 14)
    guard hiddenSize % headCount == 0 else {
      throw ModelError(
        .invalidSetting, file: file.file,
        "'\(keys.hiddenSize)' (\(hiddenSize)) must be a multiple of '\(keys.headCount)' (\(headCount))")
    }
    vocabularySize = try file.integer("vocab_size", in: 1...1 << 24) ?? traits.vocabularySize
    positionCount = try file.integer("max_position_embeddings", in: 1...1 << 27) ?? 512
    tokenTypeCount = traits.hasTokenTypes ? try file.integer("type_vocab_size", in: 0...1 << 20) ?? 2 : 0
    paddingToken = try file.integer("pad_token_id", in: 0...1 << 24) ?? traits.paddingToken
    var epsilon = 1e-12
    if let key = keys.normEpsilon {
      epsilon = try file.number(key, "a positive number of at most 1", where: { Float($0) > 0 && $0 <= 1 }) ?? epsilon
    }
    normEpsilon = Float(epsilon)
    let name = try file.string(keys.activation) ?? "gelu"
    guard let activation = Activation(transformersName: name) else {
      throw file.unsupported(
        "'\(keys.activation)' is '\(printable(name))', an activation that Fovea does not have; "
          + "it has silu, gelu and gelu_pytorch_tanh")
    }
    self.activation = activation
    guard contextLength > 0 else {
      throw ModelError(
        .invalidSetting, file: file.file,
        "'max_position_embeddings' (\(positionCount)) leaves no position behind 'pad_token_id' (\(paddingToken))")
    }
    let positionType = try file.string("position_embedding_type") ?? "absolute"
    guard positionType == "absolute" else {
      throw file.unsupported(
        "'position_embedding_type' is '\(printable(positionType))'; Fovea has absolute positions in encoders only")
    }
    if try file.bool("sinusoidal_pos_embds") == true {
      // The checkpoint holds them as it does learned ones.
      guard family == .distilbert else { throw file.unsupported("'sinusoidal_pos_embds' is true") }
    }
    if family.traits.hasRelativePositions {
      let count = try file.integer("relative_attention_num_buckets", in: 1...1 << 20) ?? RelativePositions.bucketCount
      guard count == RelativePositions.bucketCount else {
        throw file.unsupported(
          "'relative_attention_num_buckets' is \(count); Fovea has \(RelativePositions.bucketCount)")
      }
    }
    for key in ["is_decoder", "add_cross_attention"] where try file.bool(key) == true {
      throw file.unsupported("'\(key)' is true; Fovea builds this family as an encoder only")
    }
    for key in ["quantization_config", "quantization"] where file[key] != nil {
      throw file.unsupported("'\(key)' is set; Fovea does not read quantised weights of encoders")
    }
  }
}

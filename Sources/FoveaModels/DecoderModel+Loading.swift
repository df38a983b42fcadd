public import FoveaCore
internal import FoveaSafetensors

extension DecoderModel {
  /// Loads a model from a folder in Hugging Face layout: config.json and safetensors, single or sharded.
  ///
  /// The weights are mapped, not read: pages come in as they are used.
  ///
  /// - Parameters:
  ///   - folder: the path of the folder.
  ///   - precision: in which type activations enter products.
  ///   - stream: where to evaluate; nil is ``ComputeStream/shared``.
  /// - Throws: ``ModelError`` about the configuration; ``SafetensorsError`` about the weights; ``InstructionSetError``.
  public static func load(
    folder: String, precision: Precision = .native, stream: ComputeStream? = nil
  ) throws -> DecoderModel {
    let configuration = try ModelConfiguration.load(folder: folder)
    let checkpoint = try Checkpoint.open(folder: folder)
    let weights = try DecoderWeights(configuration: configuration, checkpoint: checkpoint)
    let computeStream: ComputeStream
    if let stream { computeStream = stream } else { computeStream = try .shared }
    return DecoderModel(
      configuration: configuration, weights: weights, precision: precision, stream: computeStream)
  }

  /// The matrices of the model as stored, the embedding once, and its vectors as widened.
  private var tensors: [(tensor: Tensor, isMatrix: Bool)] {
    var matrices = [weights.embedding]
    var vectors = [weights.finalNorm.weight]
    if !configuration.tiesEmbeddings { matrices.append(weights.head.weight) }
    for layer in weights.layers {
      matrices += layer.linears.map(\.weight)
      vectors += [layer.attentionNorm.weight, layer.feedForwardNorm.weight] + layer.linears.compactMap(\.bias)
    }
    return matrices.map { ($0, true) } + vectors.map { ($0, false) }
  }

  /// The number of parameters, tied ones counted once.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.tensor.elementCount } }

  /// The bytes of the weights as evaluation reads them, tied ones counted once: matrices as stored, norms and biases
  /// widened to float32.
  public var weightByteCount: Int { tensors.reduce(0) { $0 + $1.tensor.byteCount } }

  /// The bytes of weights that evaluating one token reads: of an embedding that is not the head too, one row.
  public var weightByteCountPerToken: Int {
    weightByteCount - (configuration.tiesEmbeddings ? 0 : weights.embedding.byteCount)
  }

  /// The multiplications of one token's products with weights, those of the head included.
  public var multiplicationCountPerToken: Int {
    (weights.layers.flatMap { $0.linears } + [weights.head]).reduce(0) { $0 + $1.inputSize * $1.outputSize }
  }

  /// The type of the matrices, or float32 where they differ.
  public var storedTypeName: String { weights.storedType.rawValue }

  /// Whether activations enter products as bfloat16.
  public var usesBFloat16Products: Bool { activationType == .bfloat16 }

  /// The bytes of the mapped checkpoint by element type.
  public var elementTypeByteCounts: [ElementType: Int] { weights.checkpointByteCounts }

  /// The bytes that one position takes in a cache of this model.
  public var cacheByteCountPerPosition: Int {
    let type = makeCache().elementType
    return 2 * configuration.layerCount * configuration.keyValueHeadCount * configuration.headDimension * type.byteCount
  }
}

internal import FoveaCore
internal import FoveaSafetensors

/// A product of an encoder's layer in the form that its activations need.
enum EncoderProduct: Sendable {
  /// A copy for float32 activations.
  case packed(PackedWeights)
  /// Views of the checkpoint, for bfloat16 activations; their outputs lie side by side.
  case stored([LinearWeights])

  /// The products of all layers, each of some matrices with the same input. Packed ones share one block of memory: large
  /// enough for huge pages, without which every panel would wait for the translation of its addresses.
  static func products(
    _ linears: [[LinearWeights]], activationType: ElementType, form: PackedForm, on stream: ComputeStream
  ) -> [EncoderProduct] {
    guard activationType != .bfloat16 else { return linears.map(EncoderProduct.stored) }
    // Every product begins at a cache line.
    let sizes = linears.map { (PackedWeights.size($0, form: form) + 15) / 16 * 16 }
    let storage = TensorStorage(uninitializedByteCount: sizes.reduce(0, +) * MemoryLayout<Float>.stride)
    var offset = 0
    return stream.run {
      zip(linears, sizes).map { linears, size in
        defer {
          offset += size
          // The copy is what is read from now on.
          for linear in linears { linear.matrix.tensor.releasePages() }
        }
        return .packed(PackedWeights(linears, form: form, storage: storage, offset: offset, on: stream))
      }
    }
  }
}

/// The weights of one encoder layer, whose norms follow its blocks.
struct EncoderLayer: Sendable {
  /// Queries, keys and values side by side.
  let projections: EncoderProduct
  let outputProjection: EncoderProduct
  let attentionNorm: Norm
  let up: EncoderProduct
  let down: EncoderProduct
  let outputNorm: Norm
}

/// The weights of an encoder: embeddings as views of the mapped checkpoint, products as ``EncoderProduct`` says, vectors
/// widened to float32.
struct EncoderWeights: Sendable {
  /// `[vocabularySize, hiddenSize]`.
  let words: Tensor
  /// `[positionCount, hiddenSize]` float32, with the embedding of token type 0 added, as all tokens of a text have it.
  let positions: Tensor
  let embeddingNorm: Norm
  /// What is added to scores, of families that have it.
  let relativePositions: RelativePositions?
  let layers: [EncoderLayer]
  /// The type of all layers' matrices, or float32 where they differ.
  let storedType: ElementType

  /// Takes the weights that `configuration` asks for from `checkpoint`, whose other tensors are ignored.
  ///
  /// - Throws: ``SafetensorsError`` naming a tensor that is missing or has another shape or type.
  init(
    configuration: EncoderConfiguration, checkpoint: Checkpoint, precision: Precision, on stream: ComputeStream
  ) throws {
    let traits = configuration.family.traits
    let names = traits.names
    let hiddenSize = configuration.hiddenSize
    let source = WeightSource(
      checkpoint: checkpoint, conversion: precision == .bfloat16 ? MatrixConversion(.rounding, on: stream) : nil)
    let word = "embeddings.word_embeddings.weight"
    let prefix = traits.prefixes.first { checkpoint.contains($0 + word) } ?? traits.prefixes[0]
    func norm(_ name: String) throws -> Norm {
      // Checkpoints of 2018 and 2019 have TensorFlow's names.
      let isOld = !checkpoint.contains("\(prefix)\(name).weight") && checkpoint.contains("\(prefix)\(name).gamma")
      return Norm(
        weight: try source.vector("\(prefix)\(name).\(isOld ? "gamma" : "weight")", size: hiddenSize),
        bias: try source.vector("\(prefix)\(name).\(isOld ? "beta" : "bias")", size: hiddenSize),
        epsilon: configuration.normEpsilon)
    }

    words = try source.tensor(prefix + word, [configuration.vocabularySize, hiddenSize])
    var positions = try source.tensor(
      prefix + "embeddings.position_embeddings.weight", [configuration.positionCount, hiddenSize])
    var type = [Float](repeating: 0, count: hiddenSize)
    if configuration.tokenTypeCount > 0 {
      let types = try source.tensor(
        prefix + "embeddings.token_type_embeddings.weight", [configuration.tokenTypeCount, hiddenSize])
      type = types.sliced(axis: 0, 0..<1).floats()
    }
    var sums = positions.floats()
    for index in sums.indices { sums[index] += type[index % hiddenSize] }
    positions = Tensor(sums, shape: positions.shape)
    self.positions = positions
    embeddingNorm = try norm("embeddings.LayerNorm")
    relativePositions =
      traits.hasRelativePositions
      ? RelativePositions(
        table: try source.tensor(
          prefix + "encoder.relative_attention_bias.weight", [RelativePositions.bucketCount, configuration.headCount]),
        limit: configuration.contextLength) : nil

    let stored = try (0..<configuration.layerCount).map { index in
      func linear(_ part: String, _ outputSize: Int, _ inputSize: Int) throws -> LinearWeights {
        try source.linear("\(prefix)\(names.layers).\(index).\(part)", outputSize, inputSize, hasBias: true)
      }
      return [
        try [names.query, names.key, names.value].map { try linear($0, hiddenSize, hiddenSize) },
        [try linear(names.output, hiddenSize, hiddenSize)],
        [try linear(names.up, configuration.intermediateSize, hiddenSize)],
        [try linear(names.down, hiddenSize, configuration.intermediateSize)],
      ]
    }
    let types = Set(stored.joined().joined().map(\.matrix.tensor.elementType))
    let storedType = types.count == 1 ? types.first ?? .float32 : .float32
    self.storedType = storedType
    let products = EncoderProduct.products(
      stored.flatMap { $0 }, activationType: EncoderWeights.activationType(storedType, precision),
      form: PackedForm(precision), on: stream)
    layers = try (0..<configuration.layerCount).map { index in
      EncoderLayer(
        projections: products[4 * index], outputProjection: products[4 * index + 1],
        attentionNorm: try norm("\(names.layers).\(index).\(names.attentionNorm)"), up: products[4 * index + 2],
        down: products[4 * index + 3], outputNorm: try norm("\(names.layers).\(index).\(names.outputNorm)"))
    }
  }

  /// Activations are bfloat16 only if they meet nothing but bfloat16 weights.
  static func activationType(_ storedType: ElementType, _ precision: Precision) -> ElementType {
    (precision == .native || precision == .bfloat16) && storedType == .bfloat16 ? .bfloat16 : .float32
  }
}

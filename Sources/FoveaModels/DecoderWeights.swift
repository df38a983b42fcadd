internal import FoveaCore
internal import FoveaSafetensors

/// The weights of a decoder: views of the mapped checkpoint, but for norms and biases, which are widened to float32.
struct DecoderWeights: Sendable {
  /// `[vocabularySize, hiddenSize]`.
  let embedding: Tensor
  let layers: [DecoderLayer]
  let finalNorm: Norm
  /// The output matrix; the embedding itself where the two are tied.
  let head: LinearWeights
  /// The bytes of every tensor in the checkpoint, used or not, by element type.
  let checkpointByteCounts: [ElementType: Int]

  /// The type of the matrices if they all have the same, else float32, in which any of them can meet activations.
  var storedType: ElementType {
    let types = Set(layers.flatMap { $0.linears.map(\.weight.elementType) } + [head.weight.elementType])
    return types.count == 1 ? head.weight.elementType : .float32
  }

  /// Takes the weights that `configuration` asks for from `checkpoint`, whose other tensors are ignored.
  ///
  /// - Throws: ``SafetensorsError`` naming a tensor that is missing or has another shape or type.
  init(configuration: ModelConfiguration, checkpoint: Checkpoint) throws {
    checkpointByteCounts = checkpoint.byteCounts
    let names = WeightNames(contains: checkpoint.contains)
    let source = WeightSource(checkpoint: checkpoint)
    let hiddenSize = configuration.hiddenSize
    let queryWidth = configuration.headCount * configuration.headDimension
    let keyValueWidth = configuration.keyValueHeadCount * configuration.headDimension

    func norm(_ name: String) throws -> Norm {
      Norm(weight: try source.vector(name + ".weight", size: hiddenSize), epsilon: configuration.normEpsilon)
    }
    embedding = try source.matrix(names.embedding + ".weight", [configuration.vocabularySize, hiddenSize])
    layers = try (0..<configuration.layerCount).map { index in
      func linear(_ part: WeightNames.LayerPart, _ outputSize: Int, _ inputSize: Int, hasBias: Bool) throws
        -> LinearWeights
      {
        let name = names.layer(index, part)
        return LinearWeights(
          weight: try source.matrix(name + ".weight", [outputSize, inputSize]),
          bias: hasBias ? try source.vector(name + ".bias", size: outputSize) : nil)
      }
      let attentionBias = configuration.attentionBias
      let feedForwardBias = configuration.feedForwardBias
      let intermediateSize = configuration.intermediateSize
      return DecoderLayer(
        attentionNorm: try norm(names.layer(index, .attentionNorm)),
        queryProjection: try linear(.queryProjection, queryWidth, hiddenSize, hasBias: attentionBias),
        keyProjection: try linear(.keyProjection, keyValueWidth, hiddenSize, hasBias: attentionBias),
        valueProjection: try linear(.valueProjection, keyValueWidth, hiddenSize, hasBias: attentionBias),
        outputProjection: try linear(.outputProjection, hiddenSize, queryWidth, hasBias: attentionBias),
        feedForwardNorm: try norm(names.layer(index, .feedForwardNorm)),
        gateProjection: try linear(.gateProjection, intermediateSize, hiddenSize, hasBias: feedForwardBias),
        upProjection: try linear(.upProjection, intermediateSize, hiddenSize, hasBias: feedForwardBias),
        downProjection: try linear(.downProjection, hiddenSize, intermediateSize, hasBias: feedForwardBias))
    }
    finalNorm = try norm(names.finalNorm)
    head = LinearWeights(
      weight: configuration.tiesEmbeddings
        ? embedding : try source.matrix(names.head + ".weight", [configuration.vocabularySize, hiddenSize]),
      bias: nil)
  }
}

/// Takes tensors out of a checkpoint in the types that the kernels read.
private struct WeightSource {
  let checkpoint: Checkpoint
  private static let readableTypes: [ElementType] = [.float32, .float16, .bfloat16]

  /// A matrix as stored.
  func matrix(_ name: String, _ shape: [Int]) throws -> Tensor {
    try checkpoint.tensor(name, shape: shape, elementTypes: Self.readableTypes)
  }

  /// A vector widened to float32: small, and read once a row.
  func vector(_ name: String, size: Int) throws -> Tensor {
    let stored = try checkpoint.tensor(name, shape: [size], elementTypes: Self.readableTypes)
    return Tensor(stored.floats(), shape: [size])
  }
}

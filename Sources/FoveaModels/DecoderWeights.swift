internal import FoveaCore
internal import FoveaSafetensors

/// The weights of a decoder: views of the mapped checkpoint or copies of it, but for norms and biases, which are widened to
/// float32.
struct DecoderWeights: Sendable {
  /// `[vocabularySize, hiddenSize]`.
  let embedding: WeightMatrix
  let layers: [DecoderLayer]
  let finalNorm: Norm
  /// The output matrix; the embedding itself where the two are tied.
  let head: LinearWeights
  /// Whether the output matrix is the embedding.
  let isTied: Bool
  /// The bytes of every tensor in the checkpoint, used or not, by element type.
  let checkpointByteCounts: [ElementType: Int]

  /// The type that the checkpoint has the matrices in if it is the same for all, else float32, in which any of them can
  /// meet activations.
  let storedType: ElementType

  /// Whether any matrix is.
  var isQuantized: Bool {
    head.matrix.codes != nil || layers.contains { $0.linears.contains { $0.matrix.codes != nil } }
  }

  /// Takes the weights that `configuration` asks for from `checkpoint`, whose other tensors are ignored.
  ///
  /// - Parameters:
  ///   - needsHead: whether an output matrix must be there; without one the embedding takes its place.
  ///   - conversion: what happens to matrices; nil leaves them as stored.
  ///   - packing: what makes copies of them for products; nil for products with the matrices themselves.
  /// - Throws: ``SafetensorsError`` naming a tensor that is missing or has another shape or type.
  init(
    configuration: ModelConfiguration, checkpoint: Checkpoint, needsHead: Bool = true,
    conversion: MatrixConversion? = nil, packing: WeightPacking? = nil
  ) throws {
    checkpointByteCounts = checkpoint.byteCounts
    let names = WeightNames(configuration.family.traits.names, contains: checkpoint.contains)
    let source = WeightSource(
      checkpoint: checkpoint, quantization: configuration.quantization, conversion: conversion,
      packing: packing)
    let hiddenSize = configuration.hiddenSize
    embedding = try source.matrix(names.embedding, [configuration.vocabularySize, hiddenSize])
    layers = try (0..<configuration.layerCount).map { index in
      try DecoderLayer(configuration, index: index, names: names, source: source)
    }
    finalNorm = try source.norm(
      names.finalNorm, size: hiddenSize, kind: configuration.normKind, epsilon: configuration.normEpsilon)
    let hasHead = checkpoint.contains(names.head + ".weight")
    let shape = [configuration.vocabularySize, hiddenSize]
    let headSource = needsHead ? source : source.withoutCopies
    if configuration.tiesEmbeddings {
      // As in transformers 5, a file that says so and has an output matrix of its own means the latter.
      let stored = needsHead && hasHead ? try source.matrix(names.head, shape) : embedding
      isTied = stored.hasSameBytes(as: embedding)
      head = headSource.linear(isTied ? embedding : stored)
    } else {
      isTied = !needsHead && !hasHead
      head = headSource.linear(isTied ? embedding : try source.matrix(names.head, shape))
    }
    let types = Set(layers.flatMap { $0.linears.map(\.matrix.elementType) } + [head.matrix.elementType])
    storedType = types.count == 1 && conversion?.hasNarrowed != true ? head.matrix.elementType : .float32
  }
}

extension FeedForward {
  init(
    _ configuration: ModelConfiguration, index: Int, names: WeightNames, source: WeightSource
  ) throws {
    let parts = names.layer
    let hiddenSize = configuration.hiddenSize
    let size = configuration.intermediateSize
    let hasBias = configuration.feedForwardBias
    func linear(_ part: String, _ outputSize: Int, _ inputSize: Int) throws -> LinearWeights {
      try source.linear(names.layer(index, part), outputSize, inputSize, hasBias: hasBias)
    }
    switch (configuration.layers[index].feedForward, configuration.experts) {
    case (.experts, let experts?):
      self = .experts(
        try source.experts(
          parts.experts, experts, hiddenSize: hiddenSize, hasBias: hasBias, name: { names.layer(index, $0) }),
        // The choice of experts is sensitive: it goes by the weights themselves.
        router: try source.withoutCopies.linear(
          names.layer(index, parts.router), experts.expertCount, hiddenSize, hasBias: parts.experts.isTransposed))
    case (.plain, _):
      self = .plain(
        up: try linear(parts.upProjection, size, hiddenSize), down: try linear(parts.downProjection, hiddenSize, size))
    case (.gated, _), (.experts, nil):
      let halves =
        if let fused = parts.fusedGateUp {
          try source.fusedLinears(names.layer(index, fused), [size, size], hiddenSize, hasBias: hasBias)
        } else {
          [try linear(parts.gateProjection, size, hiddenSize), try linear(parts.upProjection, size, hiddenSize)]
        }
      self = .gated(
        GatedBlock(gate: halves[0], up: halves[1], down: try linear(parts.downProjection, hiddenSize, size)))
    }
  }
}

internal import CFoveaKernels
internal import FoveaAttention
public import FoveaCore
internal import FoveaSafetensors

/// An encoder of BERT's kind: token ids in, a hidden state for each token out; every token attends to its whole text.
public final class EncoderModel: TokenEncoder {
  /// What config.json says.
  public let configuration: EncoderConfiguration
  /// In which type activations enter products.
  public let precision: Precision
  /// Where evaluation runs.
  public let stream: ComputeStream

  let weights: EncoderWeights
  let activationType: ElementType
  let workspace: EncoderWorkspace

  /// The width of a hidden state.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The number of token ids.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The most tokens of a sequence.
  public var sequenceLengthLimit: Int { configuration.contextLength }
  /// Enough sequences that threads which take some for themselves end together; besides the hidden states, nothing grows
  /// with them.
  public var standardBatchTokenCount: Int { 8192 }

  init(configuration: EncoderConfiguration, weights: EncoderWeights, precision: Precision, stream: ComputeStream) {
    self.configuration = configuration
    self.weights = weights
    self.precision = precision
    self.stream = stream
    activationType = EncoderWeights.activationType(weights.storedType, precision)
    workspace = EncoderWorkspace(configuration, activationType: activationType)
  }

  /// Loads an encoder from a folder in Hugging Face layout: config.json and safetensors, single or sharded.
  ///
  /// Embeddings are mapped; float32 products work on a copy of their matrices, in the order of the kernels.
  ///
  /// - Throws: ``ModelError`` about the configuration; ``SafetensorsError`` about the weights; ``InstructionSetError``.
  public static func load(
    folder: String, precision: Precision = .native, stream: ComputeStream? = nil
  ) throws -> EncoderModel {
    guard let configuration = try EncoderConfiguration.load(folder: folder) else {
      throw ModelError(
        .unknownModelType, file: "\(folder)/\(ModelConfiguration.fileName)",
        "'model_type' is none of the encoders that Fovea knows: "
          + EncoderFamily.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let computeStream: ComputeStream
    if let stream { computeStream = stream } else { computeStream = try .shared }
    let weights = try EncoderWeights(
      configuration: configuration, checkpoint: Checkpoint.open(folder: folder), precision: precision,
      on: computeStream)
    return EncoderModel(configuration: configuration, weights: weights, precision: precision, stream: computeStream)
  }

  /// See ``TokenEncoder/withHiddenStates(of:from:_:)``.
  public func withHiddenStates<Result>(
    of sequences: [[Int]], from firstRows: [Int],
    _ body: (_ states: UnsafePointer<Float>, _ stride: Int) throws -> Result
  ) throws -> Result {
    try check(sequences)
    return try stream.run {
      let hiddenStates =
        if let hiddenStates = evaluateBlocks(sequences) { hiddenStates } else { evaluateLayers(sequences) }
      let tails = SequenceTails(lengths: sequences.map(\.count), firstRows: firstRows)
      let shown = tails.gather(hiddenStates)
      return try body(shown.floats(), shown.stride)
    }
  }

  // MARK: The way of a token

  private func evaluateLayers(_ sequences: [[Int]]) -> ActivationRows {
    let rowCount = sequences.reduce(0) { $0 + $1.count }
    workspace.reserve(rowCount)
    func rows(_ buffer: EncoderWorkspace.Buffer) -> ActivationRows { workspace.rows(buffer, count: rowCount) }
    let hiddenStates = rows(.hiddenStates)
    // What enters products: the hidden states themselves where they have the right type.
    let inputs = activationType == .float32 ? hiddenStates : rows(.inputs)
    let projected = rows(.projected)
    let attended = rows(.attended)
    let branch = rows(.branch)
    let activated = rows(.activated)

    stream.begin(.embedding)
    embed(sequences, into: hiddenStates, inputs: inputs)
    for layer in weights.layers {
      stream.begin(.projections)
      multiply(inputs, layer.projections, into: projected)
      stream.begin(.attention)
      attend(projected, sequences: sequences, into: attended)
      stream.begin(.outputProjection)
      multiply(attended, layer.outputProjection, into: branch)
      stream.begin(.norms)
      addAndNormalize(branch, by: layer.attentionNorm, hiddenStates: hiddenStates, inputs: inputs)
      stream.begin(.feedForward)
      feedForward(inputs, layer, activated: activated, into: branch)
      stream.begin(.norms)
      addAndNormalize(branch, by: layer.outputNorm, hiddenStates: hiddenStates, inputs: inputs)
    }
    stream.begin(.other)
    return hiddenStates
  }

  /// Sums of word, position and type, normed.
  private func embed(_ sequences: [[Int]], into hiddenStates: ActivationRows, inputs: ActivationRows) {
    let kernels = stream.kernelTable
    let tokens = placedTokens(sequences)
    let norm = weights.embeddingNorm
    stream.forEachRange(tokens.count, grain: 16) { rows in
      for row in rows {
        embed(tokens[row], kernels, into: hiddenStates.floats(row))
        finish(row, kernels, norm: norm, hiddenStates: hiddenStates, inputs: inputs)
      }
    }
  }

  /// The sum of a token's word, position and type, without the norm.
  func embed(_ token: PlacedToken, _ kernels: UnsafePointer<fovea_kernels>, into target: UnsafeMutablePointer<Float>) {
    let hiddenSize = configuration.hiddenSize
    let words = weights.words
    let positions = weights.positions.baseAddress.assumingMemoryBound(to: Float.self)
    kernels.pointee.convert(
      words.baseAddress + token.id * hiddenSize * words.elementType.byteCount, words.elementType.kernelElement, target,
      FOVEA_FLOAT32, hiddenSize)
    kernels.pointee.add_scaled(positions + token.position * hiddenSize, 1, target, hiddenSize)
  }

  /// A token and the learned position that is its own.
  struct PlacedToken {
    var id: Int
    var position: Int
  }

  func placedTokens(_ sequences: [[Int]]) -> [PlacedToken] {
    sequences.flatMap { sequence in
      zip(sequence, learnedPositions(of: sequence)).map { PlacedToken(id: $0, position: $1) }
    }
  }

  /// RoBERTa's padding token has a position of its own wherever it is, and does not count.
  private func learnedPositions(of sequence: [Int]) -> [Int] {
    guard configuration.family.traits.offsetsPositions else { return Array(sequence.indices) }
    var count = 0
    return sequence.map { token in
      guard token != configuration.paddingToken else { return configuration.paddingToken }
      count += 1
      return configuration.paddingToken + count
    }
  }

  /// hiddenStates = norm(hiddenStates + branch): the end of a block.
  private func addAndNormalize(
    _ branch: ActivationRows, by norm: Norm, hiddenStates: ActivationRows, inputs: ActivationRows
  ) {
    let kernels = stream.kernelTable
    stream.forEachRange(branch.count, grain: 16) { rows in
      for row in rows {
        kernels.pointee.add_scaled(branch.floats(row), 1, hiddenStates.floats(row), branch.stride)
        finish(row, kernels, norm: norm, hiddenStates: hiddenStates, inputs: inputs)
      }
    }
  }

  private func finish(
    _ row: Int, _ kernels: UnsafePointer<fovea_kernels>, norm: Norm, hiddenStates: ActivationRows,
    inputs: ActivationRows
  ) {
    norm.applyInPlace(kernels, hiddenStates.floats(row), width: hiddenStates.stride)
    guard inputs.type != .float32 else { return }
    kernels.pointee.convert(
      hiddenStates.row(row), FOVEA_FLOAT32, inputs.row(row), inputs.type.kernelElement, hiddenStates.stride)
  }

  // MARK: Products

  private func multiply(_ activations: ActivationRows, _ product: EncoderProduct, into outputs: ActivationRows) {
    switch product {
    case .packed(let weights): stream.multiply(activations, weights.matrix, into: outputs)
    case .stored(let linears):
      var first = 0
      stream.multiply(
        activations,
        linears.map { linear in
          defer { first += linear.outputSize }
          return LinearProduct(weights: linear, outputs: outputs.floats() + first, outputStride: outputs.stride)
        })
    }
  }

  /// branch = down · function(up · inputs).
  private func feedForward(
    _ inputs: ActivationRows, _ layer: EncoderLayer, activated: ActivationRows, into branch: ActivationRows
  ) {
    let activation = configuration.activation
    switch layer.up {
    case .packed(let up):
      stream.multiplyActivated(inputs, up.matrix, activation: activation, into: activated)
      multiply(activated, layer.down, into: branch)
    case .stored(let ups):
      // One matrix each.
      guard case .stored(let downs) = layer.down, let up = ups.first, let down = downs.first else { return }
      let inputs = stream.multiplyGated(
        inputs, gate: up, up: nil, activation: activation, into: activated, for: down)
      stream.multiply(
        inputs, LinearProduct(weights: down, outputs: branch.floats(), outputStride: branch.stride))
    }
  }

  // MARK: Attention

  /// Every sequence attends to itself; queries, keys and values are read where the projections left them.
  private func attend(_ projected: ActivationRows, sequences: [[Int]], into attended: ActivationRows) {
    var first = 0
    let engines = sequences.map { sequence in
      defer { first += sequence.count }
      return attention(projected.rows(first..<first + sequence.count), into: attended.row(first), attended)
    }
    AttentionEngine.run(engines, on: stream)
  }

  /// The attention of one sequence, whose queries, keys and values are rows of `projected`; the results go to `outputs`
  /// with the type and stride of `attended`.
  func attention(
    _ projected: ActivationRows, into outputs: UnsafeMutableRawPointer, _ attended: ActivationRows
  ) -> AttentionEngine {
    let (hiddenSize, dimension) = (configuration.hiddenSize, configuration.headDimension)
    let length = projected.count
    let inputStrides = AttentionStrides(batch: 0, head: dimension, position: projected.stride)
    let base = projected.floats()
    return AttentionEngine(
      problem: AttentionProblem(
        headCount: configuration.headCount, keyValueHeadCount: configuration.headCount, queryLength: length,
        keyLength: length, headDimension: dimension, resultType: attended.type),
      queries: base, queryType: FOVEA_FLOAT32, queryStrides: inputStrides, keyType: FOVEA_FLOAT32,
      valueType: FOVEA_FLOAT32,
      segments: [
        KeyValueSegment(
          keys: base + hiddenSize, keyStrides: inputStrides, values: base + 2 * hiddenSize, valueStrides: inputStrides,
          count: length)
      ],
      outputs: outputs, outputType: attended.type.kernelElement,
      outputStrides: AttentionStrides(batch: 0, head: dimension, position: attended.stride),
      scale: 1 / Float(dimension).squareRoot(),
      visibleKeys: VisibleKeys(queryLength: length, keyLength: length, isCausal: false, options: AttentionOptions()),
      mask: weights.relativePositions?.mask(length: length))
  }
}

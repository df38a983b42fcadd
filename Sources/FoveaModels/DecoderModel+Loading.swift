public import FoveaCore
internal import FoveaSafetensors

extension DecoderModel {
  /// Loads a model from a folder in Hugging Face layout: config.json and safetensors, single or sharded.
  ///
  /// The weights are mapped, not read: pages come in as they are used. Copied instead are matrices of float32 whose
  /// elements 16 bits hold exactly, as they do where a bfloat16 checkpoint was saved as float32 (the results have the
  /// same bits, and half as much is read), and those that ``Precision/bfloat16`` and ``Precision/int16`` round.
  ///
  /// - Parameters:
  ///   - folder: the path of the folder.
  ///   - precision: in which type activations enter products.
  ///   - stream: where to evaluate; nil is ``ComputeStream/shared``.
  ///   - cacheFormat: in which form caches hold keys and values.
  /// - Throws: ``ModelError`` about the configuration; ``SafetensorsError`` about the weights; ``InstructionSetError``.
  public static func load(
    folder: String, precision: Precision = .native, stream: ComputeStream? = nil,
    cacheFormat: CacheFormat = CacheFormat()
  ) throws -> DecoderModel {
    try cacheFormat.check()
    return try load(folder: folder, precision: precision, stream: stream, needsHead: true, cacheFormat: cacheFormat)
  }

  /// As ``load(folder:precision:stream:cacheFormat:)``, for hidden states: a checkpoint without an output matrix will do.
  package static func loadForStates(
    folder: String, precision: Precision, stream: ComputeStream?
  ) throws -> DecoderModel {
    try load(folder: folder, precision: precision, stream: stream, needsHead: false)
  }

  private static func load(
    folder: String, precision: Precision, stream: ComputeStream?, needsHead: Bool,
    cacheFormat: CacheFormat = CacheFormat()
  ) throws -> DecoderModel {
    let configuration = try ModelConfiguration.load(folder: folder)
    let checkpoint = try Checkpoint.open(folder: folder)
    try precision.checkCopies(of: checkpoint.byteCounts, folder: folder)
    let computeStream: ComputeStream
    if let stream { computeStream = stream } else { computeStream = try .shared }
    let weights = try DecoderWeights(
      configuration: configuration, checkpoint: checkpoint, needsHead: needsHead,
      conversion: MatrixConversion.ofDecoder(checkpoint, precision: precision, on: computeStream),
      packing: precision == .int16 ? WeightPacking(on: computeStream) : nil)
    return DecoderModel(
      folder: folder, configuration: configuration, weights: weights, precision: precision, stream: computeStream,
      cacheFormat: cacheFormat)
  }

  /// Whether the output matrix is the embedding: what config.json says, unless the checkpoint has both, and others.
  public var tiesEmbeddings: Bool { weights.isTied }

  /// The matrices of the model, the embedding once.
  private var matrices: [WeightMatrix] {
    [weights.embedding] + (weights.isTied ? [] : [weights.head.matrix])
      + weights.layers.flatMap { $0.linears.map(\.matrix) }
  }

  /// All that evaluation reads of the matrices: elements, or codes, scales and biases, or copies; the embedding once.
  package var weightTensors: [Tensor] {
    let headIsEmbedding = weights.isTied && weights.head.packed == nil
    let linears = weights.layers.flatMap(\.linears) + (headIsEmbedding ? [] : [weights.head])
    return weights.embedding.tensors + linears.flatMap(\.tensors)
  }

  /// The number of elements of what is held in float32: norms, biases and sinks.
  private var vectorElementCount: Int {
    var vectors = weights.finalNorm.vectors
    for layer in weights.layers { vectors += layer.norms.flatMap(\.vectors) + layer.linears.compactMap(\.bias) }
    return vectors.reduce(0) { $0 + $1.elementCount } + weights.layers.reduce(0) { $0 + $1.sinks.count }
  }

  /// The number of parameters, tied ones counted once.
  public var parameterCount: Int { matrices.reduce(vectorElementCount) { $0 + $1.parameterCount } }

  /// The bytes of the weights as evaluation reads them, tied ones counted once: matrices as stored or copied, norms, biases
  /// and sinks widened to float32.
  public var weightByteCount: Int {
    weightTensors.reduce(vectorElementCount * MemoryLayout<Float>.stride) { $0 + $1.byteCount }
  }

  /// The bytes of matrices that evaluating one token reads, of experts those that it goes through.
  public var weightByteCountPerToken: Int { sumPerToken { $0.byteCount } }

  /// The multiplications of one token's products with weights, those of the head included.
  public var multiplicationCountPerToken: Int { sumPerToken { $0.matrix.parameterCount } }

  /// Those that a token whose logits are not asked for does without: the head's, and the last layer's but for keys and
  /// values.
  public var multiplicationCountForLogits: Int {
    guard let last = weights.layers.last else { return 0 }
    let keysAndValues = last.keyProjection.matrix.parameterCount + last.valueProjection.matrix.parameterCount
    return weights.head.matrix.parameterCount + sumPerToken(last) { $0.matrix.parameterCount } - keysAndValues
  }

  private func sumPerToken(_ cost: (LinearWeights) -> Int) -> Int {
    weights.layers.reduce(cost(weights.head)) { $0 + sumPerToken($1, cost) }
  }

  private func sumPerToken(_ layer: DecoderLayer, _ cost: (LinearWeights) -> Int) -> Int {
    let total = layer.linears.reduce(0) { $0 + cost($1) }
    guard case .experts(let blocks, _) = layer.feedForward, let experts = configuration.experts else { return total }
    let all = blocks.flatMap(\.linears).reduce(0) { $0 + cost($1) }
    return total - all + all / experts.expertCount * experts.expertsPerToken
  }

  /// The type of the matrices, or float32 where they differ; of quantised weights such as `4-bit/g64`.
  public var storedTypeName: String {
    guard weights.isQuantized else { return weights.storedType.rawValue }
    let schemes = (weights.layers.flatMap(\.linears) + [weights.head]).compactMap(\.matrix.codes?.scheme)
    guard let first = schemes.first, schemes.allSatisfy({ $0 == first }) else { return "mixed bits" }
    return first.mode == .mxfp4 ? "mxfp4" : "\(first.bits)-bit/g\(first.groupSize)"
  }

  /// Whether weights are quantised and activations meet them rounded to bytes.
  public var usesByteProducts: Bool { weights.isQuantized && precision != .float32 }

  /// Whether activations enter products as bfloat16.
  public var usesBFloat16Products: Bool { activationType == .bfloat16 }

  /// Whether both factors of products with weights are integers of 16 bits.
  public var usesInt16Products: Bool { precision == .int16 && !weights.isQuantized }

  /// The bytes of the mapped checkpoint by element type.
  public var elementTypeByteCounts: [ElementType: Int] { weights.checkpointByteCounts }

  /// The bytes that one more position takes in a cache of this model, as long as no window is full.
  public var cacheByteCountPerPosition: Int { cacheByteCount(length: 1) }

  /// The bytes that a text of `length` tokens takes in a cache of this model, but for room to grow. Windowed layers stop
  /// at their window and what is evaluated together.
  public func cacheByteCount(length: Int) -> Int {
    makeCache().stores.reduce(0) { $0 + $1.byteCount(positions: length) }
  }

  /// The bytes of a cache that the token at `position` reads.
  public func cacheByteCountRead(at position: Int) -> Int {
    makeCache().stores.reduce(0) { $0 + $1.byteCountRead(at: position) }
  }
}

internal import CFoveaKernels
internal import FoveaAttention
public import FoveaCore

/// Which positions' logits an evaluation gives.
public enum LogitSelection: Sendable {
  /// None: only the cache is filled.
  case none
  /// Those after the last token.
  case last
  /// Those after every token.
  case all
}

/// A decoder of grouped-query attention: token ids in, logits out.
///
/// Weights are immutable and mapped from the checkpoint. For one instruction set and precision the logits of a position
/// are the same bits however the tokens before it were cut into calls, and for any number of threads.
public final class DecoderModel: Sendable {
  /// What config.json says.
  public let configuration: ModelConfiguration
  /// In which type activations enter products.
  public let precision: Precision
  /// Where evaluation runs.
  public let stream: ComputeStream

  let weights: DecoderWeights
  private let rotary: RotaryEmbedding
  let activationType: ElementType
  private let workspace: Workspace

  /// Tokens evaluated together: enough for the products to run at full speed, few enough to bound the activations.
  static let rowsPerChunk = 512

  init(configuration: ModelConfiguration, weights: DecoderWeights, precision: Precision, stream: ComputeStream) {
    self.configuration = configuration
    self.weights = weights
    self.precision = precision
    self.stream = stream
    rotary = RotaryEmbedding(
      configuration.rotary, headDimension: configuration.headDimension, contextLength: configuration.contextLength)
    // Activations are bfloat16 only if they meet nothing but bfloat16 weights: other weights take float32.
    activationType = precision == .native && weights.storedType == .bfloat16 ? .bfloat16 : .float32
    let queryWidth = configuration.headCount * configuration.headDimension
    let keyValueWidth = configuration.keyValueHeadCount * configuration.headDimension
    workspace = Workspace(sizes: [
      (configuration.hiddenSize, .float32),
      (configuration.hiddenSize, activationType),
      (queryWidth + 2 * keyValueWidth, .float32),
      (queryWidth, activationType),
      (queryWidth, activationType),
      (configuration.intermediateSize, activationType),
      (2 * rotary.pairCount, .float32),
    ])
  }

  /// An empty cache for this model.
  public func makeCache() -> KeyValueCache {
    KeyValueCache(
      layerCount: configuration.layerCount, keyValueHeadCount: configuration.keyValueHeadCount,
      headDimension: configuration.headDimension, contextLength: configuration.contextLength,
      elementType: precision == .native ? weights.storedType : .float32)
  }

  /// Evaluates `tokens` after what `cache` holds, and adds them to it.
  ///
  /// - Returns: float32 logits `[n, vocabularySize]`; n is 0, 1 or `tokens.count` as `logits` asks.
  /// - Throws: ``ModelError`` if a token is not in the vocabulary or the context would overflow; the cache is then
  ///   unchanged.
  public func evaluate(_ tokens: [Int], cache: KeyValueCache, logits: LogitSelection = .last) throws -> Tensor {
    try check(tokens, cache: cache)
    let rowCount =
      switch logits {
      case .none: 0
      case .last: min(1, tokens.count)
      case .all: tokens.count
      }
    let result = Tensor(uninitialized: [rowCount, configuration.vocabularySize])
    stream.run {
      cache.reserve(tokens.count)
      for first in stride(from: 0, to: tokens.count, by: Self.rowsPerChunk) {
        let chunk = tokens[first..<min(tokens.count, first + Self.rowsPerChunk)]
        let hiddenStates = evaluateLayers(chunk, cache: cache)
        switch logits {
        case .none: break
        case .last:
          if chunk.endIndex == tokens.count {
            writeLogits(hiddenStates, rows: chunk.count - 1..<chunk.count, result, 0)
          }
        case .all: writeLogits(hiddenStates, rows: 0..<chunk.count, result, first)
        }
      }
    }
    return result
  }

  func check(_ tokens: [Int], cache: KeyValueCache) throws {
    if let token = tokens.first(where: { $0 < 0 || $0 >= configuration.vocabularySize }) {
      throw ModelError.tokenOutOfRange(token, vocabularySize: configuration.vocabularySize)
    }
    guard cache.length + tokens.count <= configuration.contextLength else {
      throw ModelError.contextOverflow(
        length: cache.length + tokens.count, contextLength: configuration.contextLength)
    }
  }

  // MARK: The way of a token

  /// Embeds a chunk of tokens and takes it through every layer; returns the hidden states before the final norm.
  func evaluateLayers(_ tokens: ArraySlice<Int>, cache: KeyValueCache) -> ActivationRows {
    let rowCount = tokens.count
    workspace.reserve(rowCount)
    let hiddenStates = workspace.rows(0, count: rowCount)
    let normed = workspace.rows(1, count: rowCount)
    let projected = workspace.rows(2, count: rowCount)
    let queries = workspace.rows(3, count: rowCount)
    let attended = workspace.rows(4, count: rowCount)
    let activated = workspace.rows(5, count: rowCount)
    let angles = workspace.rows(6, count: rowCount)
    let queryWidth = queries.stride
    let keyValueWidth = (projected.stride - queryWidth) / 2

    embed(tokens, into: hiddenStates)
    fillAngles(angles, firstPosition: cache.length)
    for (index, layer) in weights.layers.enumerated() {
      layer.attentionNorm.apply(hiddenStates, into: normed, on: stream)
      stream.multiply(
        normed,
        [
          LinearProduct(
            weights: layer.queryProjection, outputs: projected.floats(), outputStride: projected.stride),
          LinearProduct(
            weights: layer.keyProjection, outputs: projected.floats() + queryWidth, outputStride: projected.stride),
          LinearProduct(
            weights: layer.valueProjection, outputs: projected.floats() + queryWidth + keyValueWidth,
            outputStride: projected.stride),
        ])
      rotate(projected, angles: angles, queries: queries, cache: cache, layer: index)
      attend(queries, cache: cache, layer: index, into: attended)
      stream.multiply(
        attended,
        [
          LinearProduct(
            weights: layer.outputProjection, outputs: hiddenStates.floats(), outputStride: hiddenStates.stride)
        ], accumulates: true)

      layer.feedForwardNorm.apply(hiddenStates, into: normed, on: stream)
      stream.multiplyGated(normed, gate: layer.gateProjection, up: layer.upProjection, into: activated)
      stream.multiply(
        activated,
        [
          LinearProduct(
            weights: layer.downProjection, outputs: hiddenStates.floats(), outputStride: hiddenStates.stride)
        ], accumulates: true)
    }
    cache.advance(by: rowCount)
    return hiddenStates
  }

  /// Final norm and output matrix of `rows`, written to `result` from row `firstRow` on.
  func writeLogits(_ hiddenStates: ActivationRows, rows: Range<Int>, _ result: Tensor, _ firstRow: Int) {
    var selected = hiddenStates
    selected.base = hiddenStates.row(rows.lowerBound)
    selected.count = rows.count
    let normed = workspace.rows(1, count: rows.count)
    weights.finalNorm.apply(selected, into: normed, on: stream)
    let outputs = result.baseAddress.assumingMemoryBound(to: Float.self) + firstRow * configuration.vocabularySize
    stream.multiply(
      normed, [LinearProduct(weights: weights.head, outputs: outputs, outputStride: configuration.vocabularySize)])
  }

  // MARK: Steps

  private func embed(_ tokens: ArraySlice<Int>, into hiddenStates: ActivationRows) {
    let kernels = stream.kernels
    let table = weights.embedding
    let rowByteCount = configuration.hiddenSize * table.elementType.byteCount
    stream.forEachRange(tokens.count, grain: 32) { rows in
      for row in rows {
        kernels.convert(
          table.baseAddress + tokens[tokens.startIndex + row] * rowByteCount, table.elementType.kernelElement,
          hiddenStates.row(row), FOVEA_FLOAT32, configuration.hiddenSize)
      }
    }
  }

  /// The cosines, then the sines, of every row's position.
  private func fillAngles(_ angles: ActivationRows, firstPosition: Int) {
    stream.forEachRange(angles.count, grain: 16) { rows in
      for row in rows {
        rotary.fill(
          position: firstPosition + row, cosine: angles.floats(row), sine: angles.floats(row) + rotary.pairCount)
      }
    }
  }

  /// Rotates queries and keys by their positions; keys and values go to the cache in its type.
  private func rotate(
    _ projected: ActivationRows, angles: ActivationRows, queries: ActivationRows, cache: KeyValueCache, layer: Int
  ) {
    let kernels = stream.kernels
    let dimension = configuration.headDimension
    let stored = cache.rows(ofLayer: layer)
    let storedType = cache.elementType.kernelElement
    let headByteCount = stored.headStride * cache.elementType.byteCount
    let firstPosition = cache.length
    stream.forEachRange(projected.count, grain: 16) { rows in
      for row in rows {
        let cosine = angles.floats(row)
        let sine = cosine + rotary.pairCount
        var source = projected.floats(row)
        for head in 0..<configuration.headCount {
          kernels.rotate(
            source, cosine, sine, rotary.pairCount, dimension,
            queries.row(row) + head * dimension * queries.type.byteCount,
            queries.type.kernelElement)
          source += dimension
        }
        let offset = (firstPosition + row) * dimension * cache.elementType.byteCount
        for head in 0..<configuration.keyValueHeadCount {
          kernels.rotate(
            source, cosine, sine, rotary.pairCount, dimension, stored.keys + head * headByteCount + offset, storedType)
          source += dimension
        }
        for head in 0..<configuration.keyValueHeadCount {
          kernels.convert(source, FOVEA_FLOAT32, stored.values + head * headByteCount + offset, storedType, dimension)
          source += dimension
        }
      }
    }
  }

  /// Causal attention of the chunk's queries over the cache and the chunk itself.
  private func attend(_ queries: ActivationRows, cache: KeyValueCache, layer: Int, into attended: ActivationRows) {
    let dimension = configuration.headDimension
    let keyLength = cache.length + queries.count
    let stored = cache.rows(ofLayer: layer)
    let storedStrides = AttentionStrides(batch: 0, head: stored.headStride, position: dimension)
    let rowStrides = AttentionStrides(batch: 0, head: dimension, position: queries.stride)
    let problem = AttentionProblem(
      headCount: configuration.headCount, keyValueHeadCount: configuration.keyValueHeadCount,
      queryLength: queries.count, keyLength: keyLength, headDimension: dimension, resultType: attended.type)
    let engine = AttentionEngine(
      problem: problem, queries: queries.base, queryType: queries.type.kernelElement, queryStrides: rowStrides,
      keyType: cache.elementType.kernelElement, valueType: cache.elementType.kernelElement,
      segments: [
        KeyValueSegment(
          keys: stored.keys, keyStrides: storedStrides, values: stored.values, valueStrides: storedStrides,
          count: keyLength)
      ],
      outputs: attended.base, outputType: attended.type.kernelElement, outputStrides: rowStrides,
      scale: 1 / Float(dimension).squareRoot(),
      visibleKeys: VisibleKeys(
        queryLength: queries.count, keyLength: keyLength, isCausal: true, options: AttentionOptions()))
    engine.run(on: stream)
  }
}

internal import CFoveaKernels
internal import FoveaAttention
public import FoveaCore
internal import Synchronization

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
  /// In which form caches hold keys and values where nothing else is asked for.
  public let cacheFormat: CacheFormat
  /// Where the model was loaded from.
  public let folder: String

  private let knownFingerprint = Mutex<String?>(nil)
  let weights: DecoderWeights
  let workspace: Workspace
  let rotaries: [RotaryEmbedding]
  let activationType: ElementType

  /// Tokens evaluated together: enough for the products to run at full speed, few enough to bound the activations.
  static let rowsPerChunk = 512

  init(
    folder: String, configuration: ModelConfiguration, weights: DecoderWeights, precision: Precision,
    stream: ComputeStream, cacheFormat: CacheFormat = CacheFormat()
  ) {
    self.folder = folder
    self.cacheFormat = cacheFormat
    self.configuration = configuration
    self.weights = weights
    self.precision = precision
    self.stream = stream
    rotaries = configuration.rotaries.map {
      RotaryEmbedding($0, headDimension: configuration.headDimension, contextLength: configuration.contextLength)
    }
    // Activations are bfloat16 only if they meet nothing but bfloat16 weights: other weights take float32.
    let activationType: ElementType = precision != .float32 && weights.storedType == .bfloat16 ? .bfloat16 : .float32
    self.activationType = activationType
    let angleCount = rotaries.reduce(0) { $0 + 2 * $1.pairCount }
    // Rounding to bytes starts from float32.
    let productType = weights.isQuantized ? .float32 : activationType
    workspace = Workspace(roundsToCodes: precision != .float32) { buffer in
      configuration.size(
        of: buffer, activationType: activationType, productType: productType, angleCount: angleCount)
    }
  }

  /// What ``modelFingerprint(folder:)`` gives; every file of the model is read the first time.
  ///
  /// - Throws: errors about files that are no longer there.
  public func fingerprint() throws -> String {
    if let known = knownFingerprint.withLock({ $0 }) { return known }
    let fingerprint = try modelFingerprint(folder: folder)
    knownFingerprint.withLock { $0 = fingerprint }
    return fingerprint
  }

  /// An empty cache for this model, which keeps the whole text.
  public func makeCache() -> KeyValueCache { makeCache(checked: .contiguous) }

  /// An empty cache for this model that keeps what `policy` says, in the form that `format` says, or
  /// ``cacheFormat``.
  ///
  /// - Throws: ``ModelError`` for sizes out of range, and for a policy that does not go with the model's rotary scaling.
  public func makeCache(
    _ policy: CachePolicy, format: CacheFormat? = nil
  ) throws(ModelError) -> KeyValueCache {
    try policy.check(configuration)
    try format?.check()
    return makeCache(checked: policy, format: format)
  }

  /// An empty cache; if it `keepsEverything`, its rings have room for a whole context more than they must: the reference
  /// for the rings.
  package func makeCache(
    checked policy: CachePolicy = .contiguous, format: CacheFormat? = nil, keepsEverything: Bool = false
  ) -> KeyValueCache {
    let format = format ?? cacheFormat
    let elementType = format.elementType ?? (precision == .float32 ? .float32 : weights.storedType)
    let lengthLimit = policy.bound == nil ? configuration.contextLength : nil
    let stores = configuration.layers.map { layer in
      let limits = policy.limits(ofWindow: layer.window)
      return KeyValueStore(
        window: limits.window, bound: limits.bound, lengthLimit: lengthLimit ?? .max >> 1,
        rowsPerChunk: keepsEverything ? configuration.contextLength : Self.rowsPerChunk,
        headCount: configuration.keyValueHeadCount, headDimension: configuration.headDimension,
        elementType: elementType, quantization: format.quantization)
    }
    let longestSwitch = configuration.rotaries.map(\.switchLength).max() ?? 0
    return KeyValueCache(
      policy: policy, stores: stores, lengthLimit: lengthLimit, longestSwitch: longestSwitch, elementType: elementType,
      format: format)
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
      let firstWanted = tokens.count - rowCount
      forEachChunk(of: tokens, cache: cache, from: firstWanted) { hiddenStates, first in
        writeLogits(hiddenStates, result, first - firstWanted)
      }
    }
    return result
  }

  /// Evaluates `tokens` in chunks and adds them to `cache`, inside an operation; `body` gets the hidden states of the
  /// tokens from `firstWanted` on, chunk by chunk, with the index of their first token.
  func forEachChunk(
    of tokens: [Int], cache: KeyValueCache, from firstWanted: Int, _ body: (ActivationRows, Int) throws -> Void
  ) rethrows {
    guard !tokens.isEmpty else { return }
    let textLength = cache.policy.textLength(cache.length + tokens.count)
    let usesLongFactors = rotaries[0].usesLongFactors(textLength: textLength)
    let repeated = cache.tokensToRepeat(usesLongFactors: usesLongFactors)
    let text = repeated + tokens
    cache.reserve(text.count)
    for first in stride(from: 0, to: text.count, by: Self.rowsPerChunk) {
      let chunk = text[first..<min(text.count, first + Self.rowsPerChunk)]
      let hiddenStates = evaluateLayers(chunk, cache: cache, textLength: textLength)
      let firstRow = max(0, repeated.count + firstWanted - first)
      guard firstRow < chunk.count else { continue }
      try body(hiddenStates.rows(firstRow..<chunk.count), first + firstRow - repeated.count)
    }
  }

  func check(_ tokens: [Int], cache: KeyValueCache) throws {
    try checkPredictsTokens()
    if let token = tokens.first(where: { $0 < 0 || $0 >= configuration.vocabularySize }) {
      throw ModelError.tokenOutOfRange(token, vocabularySize: configuration.vocabularySize)
    }
    if let limit = cache.lengthLimit, cache.length + tokens.count > limit {
      throw ModelError.contextOverflow(length: cache.length + tokens.count, contextLength: limit)
    }
  }

  func checkPredictsTokens() throws(ModelError) {
    guard !configuration.isBidirectional else {
      throw ModelError(
        .unsupportedFeature, "the model attends both ways: it has hidden states to embed texts, but predicts no tokens")
    }
  }

  // MARK: The way of a token

  /// Embeds a chunk of a text that shows `textLength` tokens to rotary scaling and takes it through every layer; returns
  /// the hidden states before the final norm.
  private func evaluateLayers(_ tokens: ArraySlice<Int>, cache: KeyValueCache, textLength: Int) -> ActivationRows {
    // One more for the angles behind the rows.
    workspace.reserve(tokens.count + 1)
    func rows(_ buffer: Workspace.Buffer) -> ActivationRows { workspace.rows(buffer, count: tokens.count) }
    let hiddenStates = rows(.hiddenStates)
    let normed = rows(.normed)
    let projected = rows(.projected)
    let queries = rows(.queries)
    let sinkQueries = rows(.sinkQueries)
    let attended = rows(.attended)
    let angles = rows(.angles)

    stream.begin(.embedding)
    embed(tokens, into: hiddenStates)
    stream.begin(.positions)
    fillAngles(angles, cache: cache, textLength: textLength)
    for (index, layer) in weights.layers.enumerated() {
      stream.begin(.norms)
      normalize(hiddenStates, by: layer.attentionNorm, into: normed)
      stream.begin(.projections)
      project(normed, by: layer, into: projected)
      stream.begin(.positions)
      let turnsTwice = needsSinkQueries(cache, layer: index, end: cache.evaluatedLength + tokens.count)
      rotate(
        projected, angles: angles, queries: queries, sinkQueries: turnsTwice ? sinkQueries : nil, cache: cache,
        layer: index)
      stream.begin(.attention)
      attend(queries, sinkQueries: turnsTwice ? sinkQueries : nil, cache: cache, layer: index, into: attended)
      stream.begin(.outputProjection)
      addProduct(attended, layer.outputProjection, norm: layer.attentionOutputNorm, to: hiddenStates)

      addFeedForward(layer, to: hiddenStates)
    }
    stream.begin(.other)
    cache.advance(over: tokens)
    return hiddenStates
  }

  /// Queries, keys and values side by side.
  func project(_ normed: ActivationRows, by layer: DecoderLayer, into projected: ActivationRows) {
    var outputs = projected.floats()
    stream.multiply(
      normed,
      [layer.queryProjection, layer.keyProjection, layer.valueProjection].map { weights in
        defer { outputs += weights.outputSize }
        return LinearProduct(weights: weights, outputs: outputs, outputStride: projected.stride)
      })
  }

  /// The feed-forward half of a layer.
  func addFeedForward(_ layer: DecoderLayer, to hiddenStates: ActivationRows) {
    func rows(_ buffer: Workspace.Buffer) -> ActivationRows { workspace.rows(buffer, count: hiddenStates.count) }
    let normed = rows(.normed)
    let activated = rows(.activated)
    let activation = configuration.activation
    stream.begin(.norms)
    normalize(hiddenStates, by: layer.feedForwardNorm, into: normed)
    stream.begin(.feedForward)
    switch layer.feedForward {
    case .gated(let block):
      stream.multiplyGated(normed, gate: block.gate, up: block.up, activation: activation, into: activated)
      addProduct(activated, block.down, norm: layer.feedForwardOutputNorm, to: hiddenStates)
    case .plain(let up, let down):
      stream.multiplyActivated(normed, up: up, activation: activation, into: activated)
      addProduct(activated, down, norm: layer.feedForwardOutputNorm, to: hiddenStates)
    case .experts(let blocks, let router):
      let branch = rows(.branch)
      // The choice of experts is sensitive: the router reads float32 whatever the products take.
      if normed.type != .float32 { normalize(hiddenStates, by: layer.feedForwardNorm, into: branch) }
      let scores = rows(.routerLogits)
      stream.multiply(
        normed.type == .float32 ? normed : branch,
        [LinearProduct(weights: router, outputs: scores.floats(), outputStride: scores.stride)])
      sumExperts(blocks, of: normed, scores: scores, into: branch)
      add(branch, norm: layer.feedForwardOutputNorm, to: hiddenStates)
    }
  }

  /// Final norm and output matrix, written to `result` from row `firstRow` on.
  func writeLogits(_ hiddenStates: ActivationRows, _ result: Tensor, _ firstRow: Int) {
    stream.begin(.head)
    let normed = workspace.rows(.normed, count: hiddenStates.count)
    normalize(hiddenStates, by: weights.finalNorm, into: normed)
    let vocabularySize = configuration.vocabularySize
    let logits = result.baseAddress.assumingMemoryBound(to: Float.self) + firstRow * vocabularySize
    stream.multiply(normed, [LinearProduct(weights: weights.head, outputs: logits, outputStride: vocabularySize)])
    finish(logits, count: hiddenStates.count * vocabularySize)
    stream.begin(.other)
  }

  // MARK: Attention

  /// Whether queries read the first keys of the text turned otherwise than the latest ones.
  ///
  /// In a streaming cache positions are indices inside the cache. Scores depend on differences of positions only, so
  /// latest keys and queries may keep the positions of the text; but the distance to the first keys, which do not move,
  /// stays that of a full cache.
  private func needsSinkQueries(_ cache: KeyValueCache, layer: Int, end: Int) -> Bool {
    cache.policy.isStreaming && configuration.layers[layer].rotaryIndex != nil
      && cache.stores[layer].visiblePrefix(from: cache.evaluatedLength, to: end) != nil
  }

  /// Norms queries and keys where the family does, turns them by their positions; keys and values go to the cache in its
  /// type. `sinkQueries` are the queries turned by the last index of a full cache.
  private func rotate(
    _ projected: ActivationRows, angles: ActivationRows, queries: ActivationRows, sinkQueries: ActivationRows?,
    cache: KeyValueCache, layer: Int
  ) {
    let kernels = stream.kernelTable
    let dimension = configuration.headDimension
    let weights = weights.layers[layer]
    let store = cache.stores[layer]
    let storedType = store.elementType.kernelElement
    let headByteCount = store.headStride * store.elementType.byteCount
    let firstPosition = cache.evaluatedLength
    let rotaryIndex = configuration.layers[layer].rotaryIndex
    let pairCount = rotaryIndex.map { rotaries[$0].pairCount } ?? 0
    let angleOffset = rotaries[..<(rotaryIndex ?? 0)].reduce(0) { $0 + 2 * $1.pairCount }
    let (headCount, keyValueHeadCount) = (configuration.headCount, configuration.keyValueHeadCount)
    let sinkAngles = angles.floats(projected.count) + angleOffset
    stream.forEachRange(projected.count, grain: 16) { rows in
      for row in rows {
        let cosine = angles.floats(row) + angleOffset
        let sine = cosine + pairCount
        var source = projected.floats(row)
        weights.queryNorm?.applyInPlace(kernels, source, width: headCount * dimension)
        if let sinkQueries {
          for head in 0..<headCount {
            kernels.pointee.rotate(
              source + head * dimension, sinkAngles, sinkAngles + pairCount, pairCount, dimension,
              sinkQueries.row(row) + head * dimension * queries.type.byteCount, queries.type.kernelElement)
          }
        }
        for head in 0..<headCount {
          kernels.pointee.rotate(
            source, cosine, sine, pairCount, dimension,
            queries.row(row) + head * dimension * queries.type.byteCount, queries.type.kernelElement)
          source += dimension
        }
        let target = store.row(firstPosition + row)
        weights.keyNorm?.applyInPlace(kernels, source, width: keyValueHeadCount * dimension)
        for head in 0..<keyValueHeadCount {
          kernels.pointee.rotate(
            source, cosine, sine, pairCount, dimension, target.key + head * headByteCount, storedType)
          source += dimension
        }
        for head in 0..<keyValueHeadCount {
          kernels.pointee.convert(source, FOVEA_FLOAT32, target.value + head * headByteCount, storedType, dimension)
          source += dimension
        }
      }
    }
  }

  /// Causal attention of the chunk's queries over the cache and the chunk itself.
  private func attend(
    _ queries: ActivationRows, sinkQueries: ActivationRows?, cache: KeyValueCache, layer: Int,
    into attended: ActivationRows
  ) {
    let dimension = configuration.headDimension
    let store = cache.stores[layer]
    let (position, end) = (cache.evaluatedLength, cache.evaluatedLength + queries.count)
    store.keepSinks(from: position, to: end)
    store.writeCodes(from: position, to: end, on: stream)
    let segments = store.segments(from: position, to: end)
    let keyLength = segments.reduce(0) { $0 + $1.span }
    let rowStrides = AttentionStrides(batch: 0, head: dimension, position: queries.stride)
    let problem = AttentionProblem(
      headCount: configuration.headCount, keyValueHeadCount: configuration.keyValueHeadCount,
      queryLength: queries.count, keyLength: keyLength, headDimension: dimension, resultType: attended.type)
    let engine = AttentionEngine(
      problem: problem, queries: queries.base, prefixQueries: sinkQueries.map { UnsafeRawPointer($0.base) },
      queryType: queries.type.kernelElement, queryStrides: rowStrides,
      keyType: store.elementType.kernelElement, valueType: store.elementType.kernelElement, segments: segments,
      codes: store.codes(from: position), outputs: attended.base, outputType: attended.type.kernelElement,
      outputStrides: rowStrides,
      scale: configuration.attentionScale, softCap: configuration.attentionSoftCap ?? 0,
      visibleKeys: store.visibleKeys(from: position, to: end, keyLength: keyLength),
      sinks: weights.layers[layer].sinks)
    engine.run(on: stream)
  }

  /// The cosines, then the sines, of every row's position, one rotary setting after another; behind the rows those of the
  /// last index of a full streaming cache.
  private func fillAngles(_ angles: ActivationRows, cache: KeyValueCache, textLength: Int) {
    let (firstPosition, policy) = (cache.evaluatedLength, cache.policy)
    let lastIndex = policy.isStreaming ? policy.frequencyIndex(.max) : nil
    stream.forEachRange(angles.count + (lastIndex == nil ? 0 : 1), grain: 16) { rows in
      for row in rows {
        var target = angles.floats(row)
        let position = if row == angles.count, let lastIndex { lastIndex } else { firstPosition + row }
        for rotary in rotaries {
          rotary.fill(
            position: position, frequencyIndex: policy.frequencyIndex(position), textLength: textLength,
            isExact: position >= policy.exactPosition, cosine: target, sine: target + rotary.pairCount)
          target += 2 * rotary.pairCount
        }
      }
    }
  }
}

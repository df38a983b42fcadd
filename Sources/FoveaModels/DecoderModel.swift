internal import CFoveaKernels
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
  /// Whether a token's weights push keys and values out of the caches until the next one.
  let weightsFillCaches: Bool

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
    let activationType: ElementType =
      !precision.keepsFloat32 && weights.storedType == .bfloat16 ? .bfloat16 : .float32
    self.activationType = activationType
    let weightByteCount = weights.layers.flatMap(\.linears).reduce(0) { $0 + $1.byteCount }
    weightsFillCaches = weightByteCount >= MachineMemory.lastCacheByteCount
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
    let elementType = format.elementType ?? (precision.keepsFloat32 ? .float32 : weights.storedType)
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
      let wanted = min(chunk.count, max(0, repeated.count + firstWanted - first))..<chunk.count
      let hiddenStates = evaluateLayers(chunk, cache: cache, textLength: textLength, wanted: wanted)
      guard !wanted.isEmpty else { continue }
      try body(hiddenStates, first + wanted.lowerBound - repeated.count)
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
  /// the hidden states before the final norm of the rows `wanted`.
  ///
  /// What the last layer makes of other rows nobody reads: of those it only adds keys and values to the cache.
  private func evaluateLayers(
    _ tokens: ArraySlice<Int>, cache: KeyValueCache, textLength: Int, wanted: Range<Int>
  ) -> ActivationRows {
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
      let shown = index == weights.layers.count - 1 ? wanted : 0..<tokens.count
      stream.begin(.norms)
      normalize(hiddenStates, by: layer.attentionNorm, into: normed)
      layer.feedForwardNorm?.fetch()
      stream.begin(.projections)
      if shown.count == tokens.count {
        project(normed, [layer.queryProjection, layer.keyProjection, layer.valueProjection], into: projected)
      } else {
        projectKeysAndValues(normed, by: layer, into: projected)
        if !shown.isEmpty { project(normed.rows(shown), [layer.queryProjection], into: projected.rows(shown)) }
      }
      stream.begin(.positions)
      let turnsTwice = needsSinkQueries(cache, layer: index, end: cache.evaluatedLength + tokens.count)
      rotate(
        projected, shown: shown, angles: angles, queries: queries, sinkQueries: turnsTwice ? sinkQueries : nil,
        cache: cache, layer: index)
      stream.begin(.attention)
      cache.stores[index].complete(
        from: cache.evaluatedLength, to: cache.evaluatedLength + tokens.count, on: stream)
      guard !shown.isEmpty else { continue }
      attend(
        queries, shown: shown, sinkQueries: turnsTwice ? sinkQueries : nil, cache: cache, layer: index, into: attended)
      let results = hiddenStates.rows(shown)
      stream.begin(.outputProjection)
      project(attended.rows(shown), by: layer, to: results)
      (index + 1 < weights.layers.count ? weights.layers[index + 1].attentionNorm : weights.finalNorm)?.fetch()
      addFeedForward(layer, to: results)
    }
    stream.begin(.other)
    cache.advance(over: tokens)
    return hiddenStates.rows(wanted)
  }

  /// The products of `linears` side by side, as one phase.
  func project(
    _ normed: ActivationRows, _ linears: [LinearWeights], into projected: ActivationRows, from column: Int = 0
  ) {
    var outputs = projected.floats() + column
    stream.multiply(
      normed,
      linears.map { weights in
        defer { outputs += weights.outputSize }
        return LinearProduct(weights: weights, outputs: outputs, outputStride: projected.stride)
      })
  }

  /// Keys and values, beside the place of the queries.
  func projectKeysAndValues(_ normed: ActivationRows, by layer: DecoderLayer, into projected: ActivationRows) {
    project(
      normed, [layer.keyProjection, layer.valueProjection], into: projected, from: layer.queryProjection.outputSize)
  }

  /// The end of a layer's attention half.
  func project(_ attended: ActivationRows, by layer: DecoderLayer, to hiddenStates: ActivationRows) {
    let inputs = stream.prepare(attended, for: CollectionOfOne(layer.outputProjection))
    addProduct(inputs, layer.outputProjection, norm: layer.attentionOutputNorm, to: hiddenStates)
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
    func addGated(_ gate: LinearWeights, _ up: LinearWeights?, _ down: LinearWeights) {
      let inputs = stream.multiplyGated(
        normed, gate: gate, up: up, activation: activation, into: activated, for: down)
      addProduct(inputs, down, norm: layer.feedForwardOutputNorm, to: hiddenStates)
    }
    switch layer.feedForward {
    case .gated(let block): addGated(block.gate, block.up, block.down)
    case .plain(let up, let down): addGated(up, nil, down)
    case .experts(let blocks, let router):
      let branch = rows(.branch)
      // The choice of experts is sensitive: the router reads float32 whatever the products take.
      if normed.type != .float32 { normalize(hiddenStates, by: layer.feedForwardNorm, into: branch) }
      let scores = rows(.routerLogits)
      stream.multiply(
        normed.type == .float32 ? normed : branch,
        LinearProduct(weights: router, outputs: scores.floats(), outputStride: scores.stride))
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
    stream.multiply(normed, LinearProduct(weights: weights.head, outputs: logits, outputStride: vocabularySize))
    finish(logits, count: hiddenStates.count * vocabularySize)
    stream.begin(.other)
  }
}

internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// Positions and attention of ``DecoderModel``'s way of a token.
extension DecoderModel {
  /// Whether queries read the first keys of the text turned otherwise than the latest ones.
  ///
  /// In a streaming cache positions are indices inside the cache. Scores depend on differences of positions only, so
  /// latest keys and queries may keep the positions of the text; but the distance to the first keys, which do not move,
  /// stays that of a full cache.
  func needsSinkQueries(_ cache: KeyValueCache, layer: Int, end: Int) -> Bool {
    cache.policy.isStreaming && configuration.layers[layer].rotaryIndex != nil
      && cache.stores[layer].visiblePrefix(from: cache.evaluatedLength, to: end) != nil
  }

  /// Norms queries and keys where the family does, turns them by their positions; keys and values go to the cache in its
  /// type. Only the rows `shown` have queries; `sinkQueries` are those turned by the last index of a full cache.
  func rotate(
    _ projected: ActivationRows, shown: Range<Int>, angles: ActivationRows, queries: ActivationRows,
    sinkQueries: ActivationRows?, cache: KeyValueCache, layer: Int
  ) {
    let kernels = stream.kernelTable
    let dimension = configuration.headDimension
    let weights = weights.layers[layer]
    let store = cache.stores[layer]
    let storedType = store.elementType.kernelElement
    let headByteCount = store.headStride * store.elementType.byteCount
    let firstPosition = cache.evaluatedLength
    let (headCount, keyValueHeadCount) = (configuration.headCount, configuration.keyValueHeadCount)
    let rotation = HeadRotation(self, layer: layer)
    projected.fetchFew()
    stream.forEachRange(projected.count, grain: 16) { rows in
      for row in rows {
        var source = projected.floats(row)
        if shown.contains(row) {
          weights.queryNorm?.applyInPlace(kernels, source, width: headCount * dimension)
          if let sinkQueries {
            rotation.turn(
              source, headCount: headCount, by: angles.floats(projected.count), into: sinkQueries.row(row),
              type: sinkQueries.type)
          }
          rotation.turn(
            source, headCount: headCount, by: angles.floats(row), into: queries.row(row), type: queries.type)
        }
        source += headCount * dimension
        let target = store.row(firstPosition + row)
        weights.keyNorm?.applyInPlace(kernels, source, width: keyValueHeadCount * dimension)
        rotation.turn(
          source, headCount: keyValueHeadCount, by: angles.floats(row), into: target.key, type: store.elementType,
          headByteCount: headByteCount)
        source += keyValueHeadCount * dimension
        for head in 0..<keyValueHeadCount {
          kernels.pointee.convert(source, FOVEA_FLOAT32, target.value + head * headByteCount, storedType, dimension)
          source += dimension
        }
      }
    }
  }

  /// Causal attention of the queries of the chunk's rows `shown`, one at least, over the cache and the chunk itself.
  func attend(
    _ queries: ActivationRows, shown: Range<Int>, sinkQueries: ActivationRows?, cache: KeyValueCache, layer: Int,
    into attended: ActivationRows
  ) {
    let dimension = configuration.headDimension
    let store = cache.stores[layer]
    let (position, end) = (cache.evaluatedLength + shown.lowerBound, cache.evaluatedLength + shown.upperBound)
    let segments = store.segments(from: position, to: end)
    let keyLength = segments.reduce(0) { $0 + $1.span }
    let rowStrides = AttentionStrides(batch: 0, head: dimension, position: queries.stride)
    let problem = AttentionProblem(
      headCount: configuration.headCount, keyValueHeadCount: configuration.keyValueHeadCount,
      queryLength: shown.count, keyLength: keyLength, headDimension: dimension, resultType: attended.type)
    let engine = AttentionEngine(
      problem: problem, queries: queries.row(shown.lowerBound),
      prefixQueries: sinkQueries.map { UnsafeRawPointer($0.row(shown.lowerBound)) },
      queryType: queries.type.kernelElement, queryStrides: rowStrides,
      keyType: store.elementType.kernelElement, valueType: store.elementType.kernelElement, segments: segments,
      codes: store.codes(from: position), outputs: attended.row(shown.lowerBound),
      outputType: attended.type.kernelElement,
      outputStrides: rowStrides,
      scale: configuration.attentionScale, softCap: configuration.attentionSoftCap ?? 0,
      visibleKeys: store.visibleKeys(from: position, to: end, keyLength: keyLength),
      sinks: weights.layers[layer].sinks, comesFromMemory: weightsFillCaches)
    engine.run(on: stream)
  }

  /// The cosines, then the sines, of every row's position, one rotary setting after another; behind the rows those of the
  /// last index of a full streaming cache.
  func fillAngles(_ angles: ActivationRows, cache: KeyValueCache, textLength: Int) {
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

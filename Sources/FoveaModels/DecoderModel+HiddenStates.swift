internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// Hidden states of whole texts, evaluated together without a cache.
extension DecoderModel: TokenEncoder {
  /// The width of a hidden state.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The number of token ids.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The most tokens of a sequence.
  public var sequenceLengthLimit: Int { configuration.contextLength }

  /// See ``TokenEncoder/withHiddenStates(of:from:_:)``.
  public func withHiddenStates<Result>(
    of sequences: [[Int]], from firstRows: [Int],
    _ body: (_ states: UnsafePointer<Float>, _ stride: Int) throws -> Result
  ) throws -> Result {
    try check(sequences)
    return try stream.run {
      let hiddenStates = evaluate(sequences, SequenceTails(lengths: sequences.map(\.count), firstRows: firstRows))
      let normed = workspace.rows(.branch, count: hiddenStates.count)
      normalize(hiddenStates, by: weights.finalNorm, into: normed)
      return try body(normed.floats(), normed.stride)
    }
  }

  /// The way of a token, for sequences one behind another; returns the hidden states of the gathered `tails` before the
  /// final norm. Of other rows the last layer has keys and values only.
  func evaluate(_ sequences: [[Int]], _ tails: SequenceTails) -> ActivationRows {
    let tokens = sequences.flatMap { $0 }
    // Buffers are there for no tokens too.
    workspace.reserve(max(1, tokens.count))
    func rows(_ buffer: Workspace.Buffer) -> ActivationRows { workspace.rows(buffer, count: tokens.count) }
    let hiddenStates = rows(.hiddenStates)
    let normed = rows(.normed)
    let projected = rows(.projected)
    let attended = rows(.attended)
    let queries = rows(.queries)
    let angles = rows(.angles)
    let keyValueType = precision.keepsFloat32 ? .float32 : weights.storedType
    let keyValues = PackedKeyValues(
      rowCount: tokens.count, width: configuration.keyValueHeadCount * configuration.headDimension, type: keyValueType)

    stream.begin(.embedding)
    embed(tokens[...], into: hiddenStates)
    stream.begin(.positions)
    fillAngles(angles, sequences: sequences)
    let allRows =
      tails.isWhole ? tails : SequenceTails(lengths: sequences.map(\.count), firstRows: sequences.map { _ in 0 })
    withExtendedLifetime(keyValues) {
      for (index, layer) in weights.layers.enumerated() {
        let shown = index == weights.layers.count - 1 ? tails : allRows
        stream.begin(.norms)
        normalize(hiddenStates, by: layer.attentionNorm, into: normed)
        stream.begin(.projections)
        if shown.isWhole {
          project(normed, [layer.queryProjection, layer.keyProjection, layer.valueProjection], into: projected)
        } else {
          projectKeysAndValues(normed, by: layer, into: projected)
          project(shown.gather(normed), [layer.queryProjection], into: projected.rows(0..<shown.count))
        }
        stream.begin(.positions)
        rotate(projected, shown, angles: angles, layer: index, queries: queries, keyValues: keyValues)
        stream.begin(.attention)
        attend(queries, keyValues, shown, layer: index, into: attended)
        let results = shown.gather(hiddenStates)
        stream.begin(.outputProjection)
        project(attended.rows(0..<shown.count), by: layer, to: results)
        addFeedForward(layer, to: results)
      }
    }
    stream.begin(.other)
    return hiddenStates.rows(0..<tails.count)
  }

  private func fillAngles(_ angles: ActivationRows, sequences: [[Int]]) {
    let places = sequences.flatMap { sequence in sequence.indices.map { (position: $0, length: sequence.count) } }
    stream.forEachRange(places.count, grain: 16) { rows in
      for row in rows {
        var target = angles.floats(row)
        for rotary in rotaries {
          rotary.fill(
            position: places[row].position, textLength: places[row].length, cosine: target,
            sine: target + rotary.pairCount)
          target += 2 * rotary.pairCount
        }
      }
    }
  }

  /// Norms queries and keys where the family does, turns them by their positions, and converts all three. Keys and values
  /// have a row each, queries a place among those that are `shown`.
  private func rotate(
    _ projected: ActivationRows, _ shown: SequenceTails, angles: ActivationRows, layer: Int, queries: ActivationRows,
    keyValues: PackedKeyValues
  ) {
    let kernels = stream.kernelTable
    let weights = weights.layers[layer]
    let (headCount, keyValueHeadCount) = (configuration.headCount, configuration.keyValueHeadCount)
    let rotation = HeadRotation(self, layer: layer)
    let (keys, values) = (keyValues.keys, keyValues.values)
    stream.forEachRange(projected.count, grain: 16) { rows in
      for row in rows {
        var source = projected.floats(row)
        if row < shown.count {
          weights.queryNorm?.applyInPlace(kernels, source, width: queries.stride)
          rotation.turn(
            source, headCount: headCount, by: angles.floats(shown.rowOfPlace[row]), into: queries.row(row),
            type: queries.type)
        }
        source += queries.stride
        weights.keyNorm?.applyInPlace(kernels, source, width: keys.stride)
        rotation.turn(
          source, headCount: keyValueHeadCount, by: angles.floats(row), into: keys.row(row), type: keys.type)
        source += keys.stride
        kernels.pointee.convert(source, FOVEA_FLOAT32, values.row(row), values.type.kernelElement, values.stride)
      }
    }
  }

  /// What is `shown` of each sequence attends to the whole of it.
  private func attend(
    _ queries: ActivationRows, _ keyValues: PackedKeyValues, _ shown: SequenceTails, layer: Int,
    into attended: ActivationRows
  ) {
    let dimension = configuration.headDimension
    let window = configuration.layers[layer].window
    let sinks = weights.layers[layer].sinks
    func strides(_ rows: ActivationRows) -> AttentionStrides {
      AttentionStrides(batch: 0, head: dimension, position: rows.stride)
    }
    let (keys, values) = (keyValues.keys, keyValues.values)
    let engines = shown.tails.filter { !$0.shown.isEmpty }.map { tail in
      let (first, place, length) = (tail.rows.lowerBound, tail.places.lowerBound, tail.rows.count)
      return AttentionEngine(
        problem: AttentionProblem(
          headCount: configuration.headCount, keyValueHeadCount: configuration.keyValueHeadCount,
          queryLength: tail.shown.count, keyLength: length, headDimension: dimension, resultType: attended.type),
        queries: queries.row(place), queryType: queries.type.kernelElement, queryStrides: strides(queries),
        keyType: keys.type.kernelElement, valueType: values.type.kernelElement,
        segments: [
          KeyValueSegment(
            keys: keys.row(first), keyStrides: strides(keys), values: values.row(first), valueStrides: strides(values),
            count: length)
        ],
        outputs: attended.row(place), outputType: attended.type.kernelElement, outputStrides: strides(attended),
        scale: configuration.attentionScale, softCap: configuration.attentionSoftCap ?? 0,
        visibleKeys: VisibleKeys(
          queryLength: tail.shown.count, keyLength: length, isCausal: !configuration.isBidirectional,
          isWindowSymmetric: configuration.isBidirectional, options: AttentionOptions(window: window)),
        sinks: sinks)
    }
    AttentionEngine.run(engines, on: stream)
  }
}

/// The keys and values of a layer's rows, for one evaluation.
private struct PackedKeyValues {
  let keys: ActivationRows
  let values: ActivationRows
  /// Both of them; kept alive by whoever holds the rows.
  private let storage: TensorStorage

  init(rowCount: Int, width: Int, type: ElementType) {
    let byteCount = rowCount * width * type.byteCount
    storage = TensorStorage(uninitializedByteCount: 2 * byteCount)
    keys = ActivationRows(base: storage.baseAddress, type: type, stride: width, count: rowCount)
    values = ActivationRows(base: storage.baseAddress + byteCount, type: type, stride: width, count: rowCount)
  }
}

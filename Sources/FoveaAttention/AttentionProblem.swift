package import FoveaCore

/// The checked sizes and types of one call of the attention op.
package struct AttentionProblem: Sendable {
  package var batchCount: Int
  package var headCount: Int
  package var keyValueHeadCount: Int
  package var queryLength: Int
  package var keyLength: Int
  package var headDimension: Int
  package var valueDimension: Int
  /// The promoted type of queries, keys and values.
  package var resultType: ElementType

  /// Query heads that share one key/value head.
  package var groupSize: Int { headCount / keyValueHeadCount }
}

extension AttentionProblem {
  /// Checks the op's contract on its three main arguments.
  package init(queries: Tensor, keys: Tensor, values: Tensor) throws(AttentionError) {
    func check(_ condition: Bool, _ kind: AttentionError.Kind, _ message: StaticString) throws(AttentionError) {
      guard condition else {
        throw AttentionError(
          kind: kind,
          message: "\(message); got queries \(queries.shape), keys \(keys.shape), values \(values.shape)")
      }
    }
    // Taken once: each reading of a tensor's shape counts a reference, which a decode of a few microseconds feels.
    let (query, key, value) = (queries.shape, keys.shape, values.shape)
    try check(
      query.count == 4 && key.count == 4 && value.count == 4, .rank,
      "queries, keys and values must have 4 dimensions")
    guard let keyedType = queries.elementType.promoted(with: keys.elementType),
      let resultType = keyedType.promoted(with: values.elementType)
    else {
      throw AttentionError(
        kind: .elementType,
        message: "queries, keys and values must be of floating-point types; got \(queries.elementType), "
          + "\(keys.elementType), \(values.elementType)")
    }
    try check(
      query[0] == key[0] && key[0] == value[0], .batch, "queries, keys and values must have the same batch size")
    try check(query[3] == key[3], .headDimension, "queries and keys must have the same head dimension")
    try check(key[1] == value[1], .headCount, "keys and values must have the same number of heads")
    try check(key[2] == value[2], .keyLength, "keys and values must have the same length")
    try check(
      key[1] > 0 && query[1] % key[1] == 0, .headCount,
      "the number of query heads must be a multiple of the number of key/value heads, which must not be 0")
    self.init(
      batchCount: query[0], headCount: query[1], keyValueHeadCount: key[1], queryLength: query[2], keyLength: key[2],
      headDimension: query[3], valueDimension: value[3], resultType: resultType)
  }

  /// Checks the mask's rank, type and shape; gives it broadcast to `[batch, headCount, queryLength, keyLength]`.
  package func broadcastMask(_ mask: Tensor) throws(AttentionError) -> Tensor {
    let target = [batchCount, headCount, queryLength, keyLength]
    guard mask.shape.count <= 4 else {
      throw AttentionError(kind: .mask, message: "a mask has at most 4 dimensions; got \(mask.shape)")
    }
    if mask.elementType != .bool {
      guard mask.elementType.promoted(with: resultType) == resultType else {
        throw AttentionError(
          kind: .mask,
          message: "a mask must be Boolean or of a type that promotes to the result's \(resultType); "
            + "got \(mask.elementType)")
      }
    }
    guard let broadcast = mask.broadcast(to: target) else {
      throw AttentionError(kind: .mask, message: "a mask of shape \(mask.shape) does not broadcast to \(target)")
    }
    return broadcast
  }

  /// Checks the sinks' type and shape; gives one logit a query head.
  package func checkedSinks(_ sinks: Tensor) throws(AttentionError) -> [Float] {
    guard sinks.shape == [headCount] else {
      throw AttentionError(
        kind: .sinks, message: "sinks must have one value a query head, shape [\(headCount)]; got \(sinks.shape)")
    }
    guard sinks.elementType.promoted(with: resultType) == resultType else {
      throw AttentionError(
        kind: .sinks,
        message: "sinks must be of a type that promotes to the result's \(resultType); got \(sinks.elementType)")
    }
    return sinks.floats()
  }

  /// `[batch, headCount, queryLength, valueDimension]`.
  package var resultShape: [Int] { [batchCount, headCount, queryLength, valueDimension] }

  /// Checks the shapes and types of memory that results are written to.
  package func checkOutputs(_ outputs: Tensor, logSumExp: Tensor?) throws(AttentionError) {
    guard outputs.shape == resultShape, outputs.elementType == resultType else {
      throw AttentionError(
        kind: .output,
        message: "the output must be of shape \(resultShape) and type \(resultType); got \(outputs.shape), "
          + "\(outputs.elementType)")
    }
    guard let logSumExp else { return }
    let expected = Array(resultShape.prefix(3))
    guard logSumExp.shape == expected, logSumExp.elementType == .float32 else {
      throw AttentionError(
        kind: .output,
        message: "the log-sum-exp must be of shape \(expected) and type float32; got \(logSumExp.shape), "
          + "\(logSumExp.elementType)")
    }
  }

  /// Checks the ranges of window, soft-cap and packed lengths.
  package func check(_ options: AttentionOptions) throws(AttentionError) {
    if let window = options.window, window < 1 {
      throw AttentionError(kind: .options, message: "a window must hold at least 1 key; got \(window)")
    }
    if let softCap = options.softCap, !(softCap > 0 && softCap.isFinite) {
      throw AttentionError(kind: .options, message: "a soft-cap must be positive and finite; got \(softCap)")
    }
    if let lengths = options.packedLengths {
      var sum = 0
      for length in lengths {
        let (next, overflow) = sum.addingReportingOverflow(length)
        sum = length < 0 || overflow ? -1 : next
        if sum < 0 { break }
      }
      guard sum == queryLength, sum == keyLength else {
        throw AttentionError(
          kind: .options,
          message: "packed lengths \(lengths) must not be negative and must sum to the query length \(queryLength) and "
            + "the key length \(keyLength)")
      }
    }
  }
}

extension AttentionProblem {
  /// One sequence whose values have the head dimension of its keys, as in a model's layer.
  package init(
    headCount: Int, keyValueHeadCount: Int, queryLength: Int, keyLength: Int, headDimension: Int,
    resultType: ElementType
  ) {
    self.init(
      batchCount: 1, headCount: headCount, keyValueHeadCount: keyValueHeadCount, queryLength: queryLength,
      keyLength: keyLength, headDimension: headDimension, valueDimension: headDimension, resultType: resultType)
  }
}

internal import CFoveaKernels
public import FoveaCore

/// What the attention op gives: the attended values and, for merging partial results, each row's log-sum-exp.
public struct AttentionResult: Sendable {
  /// `[batch, headCount, queryLength, valueDimension]`, of the promoted type of queries, keys and values.
  public let outputs: Tensor
  /// `[batch, headCount, queryLength]` float32: log Σ exp(score) over the keys a row sees, its sink included; −∞ for a
  /// row that sees none.
  public let logSumExp: Tensor
}

/// softmax(scale · Q · Kᵀ + mask) · V, with the semantics of MLX's `scaled_dot_product_attention`.
///
/// Softmax and accumulation run in float32 whatever the input (float64 for float64 input). Query head h reads key/value
/// head h / (headCount / keyValueHeadCount); keys and values are never repeated. A row that sees no key gives zeros.
/// The bits of a result do not depend on the number of threads, nor on what else is in the call.
///
/// - Parameters:
///   - queries: `[batch, headCount, queryLength, headDimension]`, any strides.
///   - keys: `[batch, keyValueHeadCount, keyLength, headDimension]`, any strides.
///   - values: `[batch, keyValueHeadCount, keyLength, valueDimension]`, any strides.
///   - scale: the factor of the scores, usually 1/√headDimension.
///   - mask: none, causal (lower-right aligned) or an array.
///   - sinks: one unscaled logit a query head, `[headCount]`, joined to the softmax's denominator without a value.
///   - options: window, soft-cap, packed sequences.
///   - stream: where to compute; nil is ``ComputeStream/shared``.
/// - Returns: `[batch, headCount, queryLength, valueDimension]` of the promoted element type.
/// - Throws: ``AttentionError`` with the shapes in its text; ``InstructionSetError`` if `FOVEA_ISA` cannot run here.
public func scaledDotProductAttention(
  queries: Tensor, keys: Tensor, values: Tensor, scale: Float, mask: AttentionMask = .none, sinks: Tensor? = nil,
  options: AttentionOptions = AttentionOptions(), on stream: ComputeStream? = nil
) throws -> Tensor {
  let problem = try AttentionProblem(queries: queries, keys: keys, values: values)
  let outputs = Tensor(uninitialized: problem.resultShape, elementType: problem.resultType)
  try attend(
    problem, queries: queries, keys: keys, values: values, scale: scale, mask: mask, sinks: sinks, options: options,
    into: outputs, logSumExp: nil, on: stream)
  return outputs
}

/// ``scaledDotProductAttention(queries:keys:values:scale:mask:sinks:options:on:)`` with each row's log-sum-exp.
public func scaledDotProductAttentionWithLogSumExp(
  queries: Tensor, keys: Tensor, values: Tensor, scale: Float, mask: AttentionMask = .none, sinks: Tensor? = nil,
  options: AttentionOptions = AttentionOptions(), on stream: ComputeStream? = nil
) throws -> AttentionResult {
  let problem = try AttentionProblem(queries: queries, keys: keys, values: values)
  let outputs = Tensor(uninitialized: problem.resultShape, elementType: problem.resultType)
  let logSumExp = Tensor(uninitialized: Array(problem.resultShape.prefix(3)))
  try attend(
    problem, queries: queries, keys: keys, values: values, scale: scale, mask: mask, sinks: sinks, options: options,
    into: outputs, logSumExp: logSumExp, on: stream)
  return AttentionResult(outputs: outputs, logSumExp: logSumExp)
}

/// The op into memory that is there already.
///
/// - Parameters:
///   - outputs: `[batch, headCount, queryLength, valueDimension]` of the promoted type, any strides, overlapping no
///     input. Every element is written.
///   - logSumExp: `[batch, headCount, queryLength]` float32, or nil.
/// - Throws: as the others, and ``AttentionError`` of kind `output` where outputs do not fit; nothing is then written.
package func scaledDotProductAttention(
  queries: Tensor, keys: Tensor, values: Tensor, scale: Float, mask: AttentionMask, sinks: Tensor?,
  options: AttentionOptions, into outputs: Tensor, logSumExp: Tensor?, on stream: ComputeStream?
) throws {
  let problem = try AttentionProblem(queries: queries, keys: keys, values: values)
  try problem.checkOutputs(outputs, logSumExp: logSumExp)
  try attend(
    problem, queries: queries, keys: keys, values: values, scale: scale, mask: mask, sinks: sinks, options: options,
    into: outputs, logSumExp: logSumExp, on: stream)
}

/// The op on checked tensors into outputs of the problem's shape and type.
private func attend(
  _ problem: AttentionProblem, queries: Tensor, keys: Tensor, values: Tensor, scale: Float, mask: AttentionMask,
  sinks: Tensor?, options: AttentionOptions, into outputs: Tensor, logSumExp: Tensor?, on stream: ComputeStream?
) throws {
  try problem.check(options)
  let sinkLogits = try sinks.map { try problem.checkedSinks($0) } ?? []
  var broadcastMask: Tensor?
  var isCausal = false
  switch mask {
  case .none: break
  case .causal: isCausal = true
  case .array(let tensor): broadcastMask = try problem.broadcastMask(tensor)
  }
  let visibleKeys = VisibleKeys(
    queryLength: problem.queryLength, keyLength: problem.keyLength, isCausal: isCausal, options: options)

  if problem.resultType == .float64 {
    let reference = ReferenceAttention(
      problem: problem, queries: queries.doubles(), keys: keys.doubles(), values: values.doubles(),
      scale: Double(scale), softCap: options.softCap.map(Double.init), visibleKeys: visibleKeys,
      mask: broadcastMask.map { ($0, $0.elementType == .bool) }, sinks: sinkLogits)
    let result = reference.run()
    outputs.copyElements(from: Tensor(result.outputs, shape: outputs.shape, elementType: .float64))
    logSumExp?.copyElements(from: Tensor(result.logSumExp.map(Float.init), shape: Array(outputs.shape.prefix(3))))
    return
  }

  // The kernels write rows whose elements are adjacent, and the log-sum-exp without gaps.
  let rowOutputs =
    outputs.hasContiguousRows ? outputs : Tensor(uninitialized: outputs.shape, elementType: outputs.elementType)
  let flatLogSumExp = logSumExp.map { $0.isContiguous ? $0 : Tensor(uninitialized: $0.shape) }
  let (queries, keys, values) = (queries.rowsContiguous(), keys.rowsContiguous(), values.rowsContiguous())
  let computeStream: ComputeStream
  if let stream { computeStream = stream } else { computeStream = try .shared }
  let engine = AttentionEngine(
    problem: problem, queries: queries.baseAddress, queryType: queries.elementType.kernelElement,
    queryStrides: queries.attentionStrides, keyType: keys.elementType.kernelElement,
    valueType: values.elementType.kernelElement,
    segments: [
      KeyValueSegment(
        keys: keys.baseAddress, keyStrides: keys.attentionStrides, values: values.baseAddress,
        valueStrides: values.attentionStrides, count: problem.keyLength)
    ],
    outputs: rowOutputs.baseAddress, outputType: rowOutputs.elementType.kernelElement,
    outputStrides: rowOutputs.attentionStrides,
    logSumExp: flatLogSumExp?.baseAddress.assumingMemoryBound(to: Float.self), scale: scale,
    softCap: options.softCap ?? 0, visibleKeys: visibleKeys, mask: broadcastMask.map(BroadcastMask.init),
    sinks: sinkLogits)
  // The pointers above are valid while the tensors live.
  withExtendedLifetime((queries.storage, keys.storage, values.storage, rowOutputs.storage, flatLogSumExp?.storage)) {
    computeStream.run { engine.run(on: computeStream) }
  }
  if !outputs.hasContiguousRows { outputs.copyElements(from: rowOutputs) }
  if let logSumExp, let flatLogSumExp, !logSumExp.isContiguous { logSumExp.copyElements(from: flatLogSumExp) }
}

extension Tensor {
  /// The tensor itself where its last axis is contiguous, else a copy.
  fileprivate func rowsContiguous() -> Tensor { hasContiguousRows ? self : contiguous() }

  fileprivate var hasContiguousRows: Bool { shape[shape.count - 1] <= 1 || strides[strides.count - 1] == 1 }

  fileprivate var attentionStrides: AttentionStrides {
    AttentionStrides(batch: strides[0], head: strides[1], position: strides[2])
  }
}

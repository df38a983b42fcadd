internal import FoveaCore

/// The weights of one decoder layer. Matrices are views of the checkpoint; a norm that is nil is not there.
///
/// A class, so that taking a layer counts one reference and not one for each of its tensors.
final class DecoderLayer: Sendable {
  let attentionNorm: Norm?
  let queryProjection: LinearWeights
  let keyProjection: LinearWeights
  let valueProjection: LinearWeights
  /// Of each head, or of all heads together: its dimension says which.
  let queryNorm: Norm?
  let keyNorm: Norm?
  /// One logit a query head that joins the softmax and has no value, or none.
  let sinks: [Float]
  let outputProjection: LinearWeights
  let attentionOutputNorm: Norm?

  let feedForwardNorm: Norm?
  let feedForward: FeedForward
  let feedForwardOutputNorm: Norm?

  init(
    _ configuration: ModelConfiguration, index: Int, names: WeightNames, source: WeightSource
  ) throws {
    let parts = names.layer
    let hiddenSize = configuration.hiddenSize
    let queryWidth = configuration.headCount * configuration.headDimension
    let keyValueWidth = configuration.keyValueHeadCount * configuration.headDimension
    func norm(_ part: String?, size: Int) throws -> Norm? {
      try part.map {
        try source.norm(
          names.layer(index, $0), size: size, kind: configuration.normKind, epsilon: configuration.normEpsilon)
      }
    }

    attentionNorm = try norm(parts.attentionNorm, size: hiddenSize)
    let hasBias = configuration.attentionBias
    let widths = [queryWidth, keyValueWidth, keyValueWidth]
    let projections =
      if let fused = parts.fusedProjections {
        try source.fusedLinears(names.layer(index, fused), widths, hiddenSize, hasBias: hasBias)
      } else {
        try zip([parts.queryProjection, parts.keyProjection, parts.valueProjection], widths).map { part, width in
          try source.linear(names.layer(index, part), width, hiddenSize, hasBias: hasBias)
        }
      }
    (queryProjection, keyProjection, valueProjection) = (projections[0], projections[1], projections[2])
    let normsHeads = configuration.queryKeyNorm == .heads
    let hasQueryKeyNorm = configuration.queryKeyNorm != .none
    queryNorm = try norm(
      hasQueryKeyNorm ? parts.queryNorm : nil, size: normsHeads ? configuration.headDimension : queryWidth)
    keyNorm = try norm(
      hasQueryKeyNorm ? parts.keyNorm : nil, size: normsHeads ? configuration.headDimension : keyValueWidth)
    sinks =
      try parts.sinks.map { try source.vector(names.layer(index, $0), size: configuration.headCount).floats() } ?? []
    outputProjection = try source.linear(
      names.layer(index, parts.outputProjection), hiddenSize, queryWidth, hasBias: configuration.outputBias)
    attentionOutputNorm = try norm(parts.attentionOutputNorm, size: hiddenSize)

    feedForwardNorm = try norm(parts.feedForwardNorm, size: hiddenSize)
    feedForward = try FeedForward(configuration, index: index, names: names, source: source)
    feedForwardOutputNorm = try norm(parts.feedForwardOutputNorm, size: hiddenSize)
  }

  var linears: [LinearWeights] {
    [queryProjection, keyProjection, valueProjection, outputProjection] + feedForward.linears
  }

  var norms: [Norm] {
    [
      attentionNorm, queryNorm, keyNorm, attentionOutputNorm, feedForwardNorm, feedForwardOutputNorm,
    ].compactMap { $0 }
  }
}

/// What follows attention in a layer.
enum FeedForward: Sendable {
  /// down · (activation(gate · x) ⊙ up · x).
  case gated(GatedBlock)
  /// down · activation(up · x).
  case plain(up: LinearWeights, down: LinearWeights)
  /// The sum of some gated blocks, weighted by what the router makes of x.
  case experts([GatedBlock], router: LinearWeights)

  var linears: [LinearWeights] {
    switch self {
    case .gated(let block): block.linears
    case .plain(let up, let down): [up, down]
    case .experts(let blocks, let router): [router] + blocks.flatMap(\.linears)
    }
  }
}

/// The matrices of a gated feed-forward block.
struct GatedBlock: Sendable {
  let gate: LinearWeights
  let up: LinearWeights
  let down: LinearWeights

  var linears: [LinearWeights] { [gate, up, down] }
}

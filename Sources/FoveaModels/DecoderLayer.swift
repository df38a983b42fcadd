internal import FoveaCore

/// The weights of one decoder layer. Matrices are views of the checkpoint; a norm that is nil is not there.
struct DecoderLayer: Sendable {
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

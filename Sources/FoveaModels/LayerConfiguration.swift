/// In what one decoder layer may differ from the others of its model.
public struct LayerConfiguration: Sendable, Equatable {
  /// What follows attention in a layer.
  public enum FeedForwardKind: Sendable, Equatable {
    /// down · (activation(gate · x) ⊙ up · x).
    case gated
    /// down · activation(up · x).
    case plain
    /// A few gated blocks out of many, chosen for each token.
    case experts
  }

  /// A sliding window: a token attends to itself and the `window` − 1 before it, in bidirectional models as many behind
  /// it; nil: to all before it.
  public var window: Int?
  /// Which of ``ModelConfiguration/rotaries`` turns queries and keys; nil: they are not turned.
  public var rotaryIndex: Int?
  /// What follows attention.
  public var feedForward: FeedForwardKind

  /// Takes all settings.
  public init(window: Int? = nil, rotaryIndex: Int? = 0, feedForward: FeedForwardKind = .gated) {
    self.window = window
    self.rotaryIndex = rotaryIndex
    self.feedForward = feedForward
  }
}

/// The experts of a model: gated feed-forward blocks of which a router chooses some for each token (mixture of experts;
/// Shazeer et al. 2017, arXiv 1701.06538).
public struct ExpertConfiguration: Sendable, Equatable {
  /// The number of experts of a layer.
  public var expertCount: Int
  /// How many of them a token goes through.
  public var expertsPerToken: Int
  /// The width between the matrices of one expert.
  public var intermediateSize: Int
  /// Whether the weights of the chosen experts are made to sum to 1; else they are their share of all experts' softmax.
  public var normalizesWeights: Bool
}

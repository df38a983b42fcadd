public import FoveaCore

/// Which keys a query attends to, and what is added to its scores.
public enum AttentionMask: Sendable {
  /// Every key.
  case none
  /// Lower-right aligned: query i of `queryLength` sees key j iff j ≤ i + keyLength − queryLength.
  case causal
  /// An array of at most 4 dimensions that broadcasts to `[batch, headCount, queryLength, keyLength]`: Boolean (true =
  /// attend), or floating-point, added to the scaled scores. Where it adds −∞ the key is left out whatever its score.
  case array(Tensor)
}

/// What the attention op does besides the softmax of scaled scores. All of it combines with every mask.
public struct AttentionOptions: Sendable {
  /// A sliding window: query i, at position p = i + keyLength − queryLength, sees no key j with j ≤ p − window.
  public var window: Int?
  /// Soft-cap: a scaled score s becomes cap · tanh(s / cap) before the mask (Gemma 2).
  public var softCap: Float?
  /// Packed, unpadded sequences (block-diagonal): the lengths of the sequences that follow each other along the
  /// query and key axes, summing to both. A query sees keys of its own sequence only; the causal mask and the window
  /// count inside it.
  public var packedLengths: [Int]?

  /// No window, no soft-cap, one sequence.
  public init(window: Int? = nil, softCap: Float? = nil, packedLengths: [Int]? = nil) {
    self.window = window
    self.softCap = softCap
    self.packedLengths = packedLengths
  }
}

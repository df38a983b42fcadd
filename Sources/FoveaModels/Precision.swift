/// The type in which a model's activations enter its products, and its cache is kept.
public enum Precision: String, Sendable, CaseIterable {
  /// The checkpoint's type: bfloat16 weights meet activations rounded to bfloat16 (with the dot instruction where the
  /// CPU has it) and a bfloat16 cache; float16 weights meet float32 activations and a float16 cache. Sums, norms,
  /// softmax and the residual stream stay in float32.
  case native
  /// Activations and cache in float32, for evaluation against references. Weights are read as stored either way.
  case float32
}

/// The type in which a model's activations enter its products, and its cache is kept.
public enum Precision: String, Sendable, CaseIterable {
  /// The checkpoint's type: bfloat16 weights meet activations rounded to bfloat16 (with the dot instruction where the
  /// CPU has it) and a bfloat16 cache; float16 weights meet float32 activations and a float16 cache. Sums, norms,
  /// softmax and the residual stream stay in float32.
  case native
  /// Activations and cache in float32, for evaluation against references. Weights are read as stored.
  case float32
  /// As ``native`` with bfloat16 weights: matrices of another floating-point type are rounded to bfloat16 while the
  /// model is loaded, into memory of their own. Half the memory traffic of a float32 checkpoint, at a cosine of about
  /// 0.9999 to what it gives. Codes of quantised weights stay as they are.
  case bfloat16
  /// For encoders: as ``float32``, but the factors of matrix products are integers of 16 bits with a scale for each 128
  /// elements of a row, whose products are summed exactly. Half the memory of float32 and the integer dot instructions, at
  /// a cosine of about 0.9999997 to float32.
  case int16

  /// Those that decoders know.
  public static let ofDecoders: [Precision] = [.native, .float32, .bfloat16]
}

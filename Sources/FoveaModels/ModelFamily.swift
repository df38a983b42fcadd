/// The families of models that Fovea builds, by their `model_type` in config.json.
///
/// A family says what its configuration leaves unsaid and what of it the decoder does. The layers themselves are
/// ``DecoderModel``'s for all of them.
public enum ModelFamily: String, Sendable, CaseIterable {
  /// Llama and all that copied its layout.
  case llama
  /// Mistral without its sliding window, which is Llama without biases.
  case mistral

  /// `max_position_embeddings` where it is not given, as in transformers.
  var defaultContextLength: Int {
    switch self {
    case .llama: 2048
    case .mistral: 131_072
    }
  }

  /// `num_key_value_heads` where it is not given.
  func defaultKeyValueHeadCount(headCount: Int) -> Int {
    switch self {
    case .llama: headCount
    case .mistral: 8
    }
  }

  /// `tie_word_embeddings` where it is not given.
  var defaultTiesEmbeddings: Bool {
    switch self {
    case .llama, .mistral: false
    }
  }

  /// `sliding_window` where the key is absent; `null` means none.
  var defaultSlidingWindow: Int? {
    switch self {
    case .llama: nil
    case .mistral: 4096
    }
  }

  /// Whether `attention_bias` and `mlp_bias` mean anything; transformers ignores them in the other families.
  var hasOptionalBiases: Bool { self == .llama }

  /// Whether `sliding_window` means anything.
  var hasSlidingWindow: Bool { self == .mistral }

  /// The activations that the decoder has for the family.
  var activations: [Activation] { [.silu] }
}

/// The function between the matrices of a feed-forward block.
public enum Activation: String, Sendable, CaseIterable {
  /// x · sigmoid(x).
  case silu
  /// x · Φ(x) with the normal distribution's Φ.
  case gelu
  /// GELU by its tanh approximation.
  case geluTanh

  /// The activation that transformers calls `name`.
  init?(transformersName name: String) {
    switch name {
    case "silu", "swish": self = .silu
    case "gelu", "gelu_python": self = .gelu
    case "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new": self = .geluTanh
    default: return nil
    }
  }
}

/// How a family differs from Llama: what its config.json may leave out, which settings mean anything, and how its
/// layers are put together. All defaults are Llama's.
struct FamilyTraits: Sendable {
  // MARK: What a file may leave out

  /// `max_position_embeddings`.
  var contextLength = 2048
  /// `num_attention_heads`; nil: it must be there.
  var headCount: Int?
  /// `vocab_size`; nil: it must be there.
  var vocabularySize: Int?
  /// `num_key_value_heads`; nil: as many as query heads.
  var keyValueHeadCount: Int?
  /// `head_dim`; nil: the hidden size over the heads.
  var headDimension: Int?
  /// `tie_word_embeddings`.
  var tiesEmbeddings = false
  /// The norms' epsilon, and its key.
  var normEpsilon = 1e-6
  var normEpsilonKey = "rms_norm_eps"

  // MARK: Rotary positions

  /// `rope_theta`.
  var rotaryBase = 10_000.0
  /// How frequencies are stretched where the file has no rotary settings at all.
  var rotaryScaling = RotaryConfiguration.Scaling.none
  /// The base for windowed layers if these have rotary settings of their own (Gemma 3).
  var windowRotaryBase: Double?
  /// Whether `partial_rotary_factor` means anything.
  var hasPartialRotation = false
  /// `original_max_position_embeddings` if the family has its own default, which then overrides the rotary settings'.
  var originalContextLength: Int?
  /// Names of rotary types that mean `longrope` here.
  var longRotaryNames: Set<String> = ["longrope"]
  /// Whether `no_rope_layers` names layers whose queries and keys are not turned.
  var skipsRotaryInSomeLayers = false

  // MARK: Attention

  /// Which projections have biases.
  var attentionBias = BiasTrait.setting("attention_bias", absent: false)
  /// Whether the output projection has a bias where the others have.
  var hasOutputBias = true
  /// Norms of queries and keys.
  var queryKeyNorm = QueryKeyNorm.none
  /// The setting that scores are scaled by, itself or as its inverse square root; nil: by the head dimension.
  var attentionScale = AttentionScale.headDimension
  /// Which layers are windowed.
  var window = WindowTrait.none
  /// `sliding_window` where the key is absent; `null` means none.
  var windowLength: Int?
  /// Whether `use_sliding_window`, by default false, must be true for there to be a window.
  var hasWindowSwitch = false
  /// Whether `attn_logit_softcapping` means anything, and what it is where absent.
  var hasAttentionSoftCap = false
  var attentionSoftCap: Double?
  /// The same of `final_logit_softcapping`.
  var hasLogitSoftCap = false
  var logitSoftCap: Double?

  // MARK: Layers

  var norm = NormKind.rootMeanSquare
  /// The key of the activation, and what it is where absent.
  var activationKey = "hidden_act"
  var activation = Activation.silu
  /// Whether `gelu` means its tanh approximation, as early Gemma files have it.
  var takesGeluForTanh = false
  var feedForward = LayerConfiguration.FeedForwardKind.gated
  var feedForwardBias = BiasTrait.none
  var experts: ExpertTrait?
  /// Whether embeddings are multiplied by the square root of the hidden size.
  var scalesEmbeddings = false
  /// Whether `embedding_multiplier`, `residual_multiplier` and `logits_scaling` mean anything.
  var hasMultipliers = false
  /// What the tensors of a layer are called.
  var names = LayerNames()
}

/// Which matrices have biases.
enum BiasTrait: Sendable {
  case none
  case always
  /// As a setting says.
  case setting(String, absent: Bool)
}

/// How rows are brought to unit size.
enum NormKind: Sendable {
  /// x / rms(x) · weight.
  case rootMeanSquare
  /// x / rms(x) · (1 + weight) (Gemma).
  case shiftedRootMeanSquare
  /// (x − mean) / deviation · weight + bias.
  case layer
}

/// Norms of queries and keys before they are turned.
enum QueryKeyNorm: Sendable {
  case none
  /// Head by head.
  case heads
  /// Over all heads together.
  case width
}

/// What scores of attention are multiplied by.
enum AttentionScale: Sendable {
  /// 1 / √headDimension.
  case headDimension
  /// 1 / √setting.
  case inverseSquareRoot(String, absent: Double)
  /// The setting itself.
  case factor(String, absent: Double)
}

/// Which layers are windowed where `layer_types` does not say.
enum WindowTrait: Sendable {
  /// None, whatever `sliding_window` says.
  case none
  /// All of them if there is a `sliding_window`.
  case allLayers
  /// All but every n-th, n being a setting's value if there is such a setting.
  case exceptEvery(String?, absent: Int)
  /// Those from a setting's value on.
  case fromLayer(String, absent: Int)
  /// Those without rotary positions.
  case layersWithoutRotary

  /// Whether `layer_types` means anything.
  var readsLayerTypes: Bool {
    switch self {
    case .none, .allLayers: false
    case .exceptEvery, .fromLayer, .layersWithoutRotary: true
    }
  }
}

/// The settings of a family's experts.
struct ExpertTrait: Sendable {
  var expertCount: Int
  var expertsPerToken: Int
  var intermediateSizeKey = "intermediate_size"
  var intermediateSize: Int?
  /// Whether the chosen weights sum to 1; nil: as `norm_topk_prob` says, by default not.
  var normalizesWeights: Bool?
  /// Whether `mlp_only_layers` and `decoder_sparse_step` name layers without experts.
  var hasDenseLayers = false
}

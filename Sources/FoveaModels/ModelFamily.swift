/// The families of models that Fovea builds, by their `model_type` in config.json.
///
/// A family says what its configuration leaves unsaid, what of it the decoder does, and what its tensors are called. The
/// layers themselves are ``DecoderModel``'s for all of them.
public enum ModelFamily: String, Sendable, CaseIterable {
  /// Llama 1 to 3.3 and all that copied its layout.
  case llama
  /// Mistral: Llama without biases, in which every layer may be windowed.
  case mistral
  /// Mixtral: Mistral with experts.
  case mixtral
  /// Qwen 2 and 2.5: biases of queries, keys and values; later layers may be windowed.
  case qwen2
  /// Qwen 3: norms of queries and keys.
  case qwen3
  /// Qwen 3 with experts.
  case qwen3MixtureOfExperts = "qwen3_moe"
  /// Gemma: scaled embeddings, norms by 1 + weight, GELU.
  case gemma
  /// Gemma 2: norms around every block, soft-caps, every other layer windowed.
  case gemma2
  /// Gemma 3: norms of queries and keys, five of six layers windowed, with rotary settings of their own.
  case gemma3Text = "gemma3_text"
  /// The language model of a Gemma 3 that sees as well as reads, by its `text_config`.
  case gemma3
  /// Phi 3 and 3.5: fused matrices, part of a head turned, `longrope`.
  case phi3
  /// Granite 3: multipliers of embeddings, residuals, scores and logits.
  case granite
  /// OLMo 2: norms after every block only, norms of queries and keys over their whole width.
  case olmo2
  /// SmolLM 3: every fourth layer without rotary positions.
  case smollm3
  /// StarCoder 2: LayerNorm, biases, feed-forward blocks without a gate.
  case starcoder2
  /// gpt-oss: sinks, every other layer windowed, experts with a clamped activation.
  case gptOSS = "gpt_oss"

  /// How the family differs from Llama, with the defaults of transformers 5.
  var traits: FamilyTraits {
    var traits = FamilyTraits()
    switch self {
    case .llama:
      traits.feedForwardBias = .setting("mlp_bias", absent: false)
    case .mistral:
      setMistral(&traits)
      traits.windowLength = 4096
    case .mixtral:
      setMistral(&traits)
      traits.normEpsilon = 1e-5
      traits.rotaryBase = 1_000_000
      traits.feedForward = .experts
      traits.experts = ExpertTrait(expertCount: 8, expertsPerToken: 2, normalizesWeights: true)
      traits.names.router = "block_sparse_moe.gate"
      traits.names.experts = ExpertNames(
        folder: "block_sparse_moe.experts", gateProjection: "w1", upProjection: "w3", downProjection: "w2")
    case .qwen2:
      setQwen(&traits)
      traits.attentionBias = .always
      traits.hasOutputBias = false
    case .qwen3:
      setQwen(&traits)
      traits.headDimension = 128
      traits.queryKeyNorm = .heads
    case .qwen3MixtureOfExperts:
      setQwen(&traits)
      traits.keyValueHeadCount = 4
      traits.queryKeyNorm = .heads
      traits.window = .allLayers
      traits.feedForward = .experts
      traits.experts = ExpertTrait(
        expertCount: 128, expertsPerToken: 8, intermediateSizeKey: "moe_intermediate_size", intermediateSize: 768,
        hasDenseLayers: true)
    case .gemma:
      setGemma(&traits)
      traits.activationKey = "hidden_act"
      traits.takesGeluForTanh = true
    case .gemma2:
      setGemma(&traits)
      setGemma2(&traits)
      traits.window = .exceptEvery(nil, absent: 2)
      traits.hasAttentionSoftCap = true
      traits.attentionSoftCap = 50
      traits.logitSoftCap = 30
    case .gemma3Text, .gemma3:
      setGemma(&traits)
      setGemma2(&traits)
      traits.contextLength = 131_072
      traits.headCount = 8
      traits.vocabularySize = 262_208
      traits.window = .exceptEvery("sliding_window_pattern", absent: 6)
      traits.rotaryBase = 1_000_000
      traits.windowRotaryBase = 10_000
      traits.queryKeyNorm = .heads
    case .phi3:
      setMistral(&traits)
      traits.contextLength = 4096
      traits.keyValueHeadCount = nil
      traits.normEpsilon = 1e-5
      traits.hasPartialRotation = true
      traits.originalContextLength = 4096
      traits.longRotaryNames = ["longrope", "su", "yarn"]
      traits.names.fusedProjections = "self_attn.qkv_proj"
      traits.names.fusedGateUp = "mlp.gate_up_proj"
    case .granite:
      traits.feedForwardBias = .setting("mlp_bias", absent: false)
      traits.attentionScale = .factor("attention_multiplier", absent: 1)
      traits.hasMultipliers = true
    case .olmo2:
      traits.normEpsilon = 1e-5
      traits.queryKeyNorm = .width
      traits.names.attentionNorm = nil
      traits.names.attentionOutputNorm = "post_attention_layernorm"
      traits.names.feedForwardNorm = nil
      traits.names.feedForwardOutputNorm = "post_feedforward_layernorm"
    case .smollm3:
      traits.contextLength = 32_768
      traits.keyValueHeadCount = 4
      traits.tiesEmbeddings = true
      traits.rotaryBase = 2_000_000
      traits.skipsRotaryInSomeLayers = true
      traits.window = .layersWithoutRotary
      traits.hasWindowSwitch = true
      traits.feedForwardBias = .setting("mlp_bias", absent: false)
    case .starcoder2:
      traits.contextLength = 4096
      traits.keyValueHeadCount = 2
      traits.tiesEmbeddings = true
      traits.normEpsilon = 1e-5
      traits.normEpsilonKey = "norm_epsilon"
      traits.norm = .layer
      traits.attentionBias = .setting("use_bias", absent: true)
      traits.window = .allLayers
      traits.activation = .geluTanh
      traits.feedForward = .plain
      traits.feedForwardBias = .setting("use_bias", absent: true)
      traits.names.upProjection = "mlp.c_fc"
      traits.names.downProjection = "mlp.c_proj"
    case .gptOSS:
      traits.contextLength = 131_072
      traits.keyValueHeadCount = 8
      traits.headDimension = 64
      traits.normEpsilon = 1e-5
      traits.rotaryBase = 150_000
      traits.rotaryScaling = .yarn(
        RotaryConfiguration.YarnScaling(
          factor: 32, originalContextLength: 4096,
          attentionFactor: RotaryConfiguration.YarnScaling.magnitude(32, 1), truncates: false))
      traits.attentionBias = .setting("attention_bias", absent: true)
      traits.window = .exceptEvery(nil, absent: 2)
      traits.windowLength = 128
      traits.feedForward = .experts
      traits.experts = ExpertTrait(expertCount: 128, expertsPerToken: 4, normalizesWeights: true)
      traits.names.sinks = "self_attn.sinks"
      traits.names.router = "mlp.router"
      traits.names.experts.isTransposed = true
    }
    return traits
  }

  /// Mistral, and what follows it: no biases, every layer windowed if there is a window.
  private func setMistral(_ traits: inout FamilyTraits) {
    traits.contextLength = 131_072
    traits.keyValueHeadCount = 8
    traits.attentionBias = .none
    traits.window = .allLayers
  }

  private func setQwen(_ traits: inout FamilyTraits) {
    traits.contextLength = 32_768
    traits.keyValueHeadCount = 32
    traits.window = .fromLayer("max_window_layers", absent: 28)
    traits.windowLength = 4096
    traits.hasWindowSwitch = true
  }

  private func setGemma(_ traits: inout FamilyTraits) {
    traits.contextLength = 8192
    traits.keyValueHeadCount = 16
    traits.headDimension = 256
    traits.tiesEmbeddings = true
    traits.norm = .shiftedRootMeanSquare
    traits.activationKey = "hidden_activation"
    traits.activation = .geluTanh
    traits.scalesEmbeddings = true
  }

  /// What Gemma 2 and 3 have in common: norms before and after every block, and scores scaled by a setting.
  private func setGemma2(_ traits: inout FamilyTraits) {
    traits.keyValueHeadCount = 4
    traits.attentionScale = .inverseSquareRoot("query_pre_attn_scalar", absent: 256)
    traits.windowLength = 4096
    traits.hasLogitSoftCap = true
    traits.names.attentionOutputNorm = "post_attention_layernorm"
    traits.names.feedForwardNorm = "pre_feedforward_layernorm"
    traits.names.feedForwardOutputNorm = "post_feedforward_layernorm"
  }
}

/// What a family's layers call their tensors, below `model.layers.N.`, without `.weight` and `.bias`. A norm without a
/// name is not there. All defaults are Llama's.
struct LayerNames: Sendable {
  var attentionNorm: String? = "input_layernorm"
  var queryProjection = "self_attn.q_proj"
  var keyProjection = "self_attn.k_proj"
  var valueProjection = "self_attn.v_proj"
  /// One matrix with the rows of the three above.
  var fusedProjections: String?
  var queryNorm = "self_attn.q_norm"
  var keyNorm = "self_attn.k_norm"
  /// One logit a query head, whole name.
  var sinks: String?
  var outputProjection = "self_attn.o_proj"
  /// Applied to what attention adds to the residual stream.
  var attentionOutputNorm: String?

  var feedForwardNorm: String? = "post_attention_layernorm"
  var gateProjection = "mlp.gate_proj"
  var upProjection = "mlp.up_proj"
  var downProjection = "mlp.down_proj"
  /// One matrix with the rows of gate and up.
  var fusedGateUp: String?
  /// Applied to what the feed-forward block adds to the residual stream.
  var feedForwardOutputNorm: String?

  var router = "mlp.gate"
  var experts = ExpertNames(folder: "mlp.experts")
}

/// What the tensors of experts are called.
struct ExpertNames: Sendable {
  /// What precedes an expert's number, or the name of a tensor of all experts.
  var folder: String
  var gateProjection = "gate_proj"
  var upProjection = "up_proj"
  var downProjection = "down_proj"
  /// Whether there is one tensor for all experts, `[expertCount, inputs, outputs]`, with gate and up column by column
  /// in turn, and biases (gpt-oss). Without it, one matrix an expert, or, where the checkpoint has none of these, one
  /// tensor for all experts, `[expertCount, outputs, inputs]`, with the rows of gate before those of up.
  var isTransposed = false
}

/// What the tensors of a checkpoint are called.
struct WeightNames: Sendable {
  /// What precedes `embed_tokens`: `model.` in checkpoints of whole language models, empty in those of the bare decoder.
  let prefix: String
  /// The output matrix.
  let head: String
  let layer: LayerNames

  /// In the order in which they are looked for; the last two are those of models that see as well as read.
  private static let prefixes = ["model.", "", "language_model.model.", "model.language_model."]
  private static let heads = ["lm_head", "language_model.lm_head"]

  /// Finds the prefix by the name of the embedding.
  init(_ layer: LayerNames, contains: (String) -> Bool) {
    self.layer = layer
    prefix = Self.prefixes.first { contains($0 + "embed_tokens.weight") } ?? Self.prefixes[0]
    head = Self.heads.first { contains($0 + ".weight") } ?? Self.heads[0]
  }

  var embedding: String { prefix + "embed_tokens" }
  var finalNorm: String { prefix + "norm" }

  func layer(_ index: Int, _ part: String) -> String { "\(prefix)layers.\(index).\(part)" }
}

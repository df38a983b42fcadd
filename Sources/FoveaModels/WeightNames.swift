/// What the tensors of the Llama family are called in a Hugging Face checkpoint.
struct WeightNames: Sendable {
  /// `model.` in checkpoints of whole language models, empty in those of the bare decoder.
  let prefix: String

  /// Finds the prefix by the name of the embedding.
  init(contains: (String) -> Bool) {
    prefix = ["model.", ""].first { contains($0 + "embed_tokens.weight") } ?? "model."
  }

  var embedding: String { prefix + "embed_tokens" }
  var finalNorm: String { prefix + "norm" }
  let head = "lm_head"

  func layer(_ index: Int, _ part: LayerPart) -> String { "\(prefix)layers.\(index).\(part.rawValue)" }

  enum LayerPart: String {
    case attentionNorm = "input_layernorm"
    case queryProjection = "self_attn.q_proj"
    case keyProjection = "self_attn.k_proj"
    case valueProjection = "self_attn.v_proj"
    case outputProjection = "self_attn.o_proj"
    case feedForwardNorm = "post_attention_layernorm"
    case gateProjection = "mlp.gate_proj"
    case upProjection = "mlp.up_proj"
    case downProjection = "mlp.down_proj"
  }
}

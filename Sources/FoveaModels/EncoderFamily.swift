/// The families of encoders that Fovea builds, by their `model_type` in config.json.
public enum EncoderFamily: String, Sendable, CaseIterable {
  /// BERT, and what has its layout: MiniLM, e5, bge, gte.
  case bert
  /// RoBERTa: BERT whose positions begin behind the padding token's id.
  case roberta
  /// CamemBERT: RoBERTa.
  case camembert
  /// XLM-RoBERTa: RoBERTa for many languages; multilingual e5, bge-m3.
  case xlmRoberta = "xlm-roberta"
  /// DistilBERT: BERT without token types.
  case distilbert
  /// MPNet: RoBERTa without token types, with relative positions besides; all-mpnet-base-v2.
  case mpnet

  var traits: EncoderTraits {
    var traits = EncoderTraits()
    switch self {
    case .bert: break
    case .roberta, .camembert, .xlmRoberta:
      traits.prefixes = ["", "roberta.", "model.", "xlm_roberta.", "camembert."]
      traits.paddingToken = 1
      traits.offsetsPositions = true
      traits.vocabularySize = self == .roberta ? 50_265 : self == .camembert ? 30_522 : 30_522
    case .distilbert:
      traits.prefixes = ["", "distilbert.", "model."]
      traits.hasTokenTypes = false
      traits.keys = EncoderKeys(
        hiddenSize: "dim", intermediateSize: "hidden_dim", layerCount: "n_layers", headCount: "n_heads",
        activation: "activation", normEpsilon: nil)
      traits.names = EncoderNames(
        layers: "transformer.layer", query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
        output: "attention.out_lin", attentionNorm: "sa_layer_norm", up: "ffn.lin1", down: "ffn.lin2",
        outputNorm: "output_layer_norm")
    case .mpnet:
      traits.prefixes = ["", "mpnet.", "model."]
      traits.paddingToken = 1
      traits.offsetsPositions = true
      traits.hasTokenTypes = false
      traits.vocabularySize = 30_527
      traits.hasRelativePositions = true
      traits.names = EncoderNames(
        query: "attention.attn.q", key: "attention.attn.k", value: "attention.attn.v", output: "attention.attn.o",
        attentionNorm: "attention.LayerNorm")
    }
    return traits
  }
}

/// How a family of encoders differs from BERT, with the defaults of transformers 5.
struct EncoderTraits: Sendable {
  /// What may precede all names of a checkpoint, in the order in which it is looked for.
  var prefixes = ["", "bert.", "model."]
  /// `pad_token_id` where it is absent.
  var paddingToken = 0
  /// Whether the first position is the one behind `pad_token_id`, which itself is that of padding tokens.
  var offsetsPositions = false
  var hasTokenTypes = true
  var hasRelativePositions = false
  /// `vocab_size` where it is absent.
  var vocabularySize = 30_522
  var keys = EncoderKeys()
  var names = EncoderNames()
}

/// What config.json calls the settings.
struct EncoderKeys: Sendable {
  var hiddenSize = "hidden_size"
  var intermediateSize = "intermediate_size"
  var layerCount = "num_hidden_layers"
  var headCount = "num_attention_heads"
  var activation = "hidden_act"
  /// nil: always 1e-12.
  var normEpsilon: String? = "layer_norm_eps"
}

/// What the tensors of a layer are called, below `LAYERS.N.`.
struct EncoderNames: Sendable {
  var layers = "encoder.layer"
  var query = "attention.self.query"
  var key = "attention.self.key"
  var value = "attention.self.value"
  var output = "attention.output.dense"
  var attentionNorm = "attention.output.LayerNorm"
  var up = "intermediate.dense"
  var down = "output.dense"
  var outputNorm = "output.LayerNorm"
}

public import FoveaCore
internal import FoveaSafetensors

/// A Llama of a few thousand random weights, for tests that need a model but not its sense.
public struct TinyCheckpoint: Sendable {
  /// The width of the residual stream.
  public var hiddenSize = 16
  /// The width inside the feed-forward part.
  public var intermediateSize = 24
  /// The number of layers.
  public var layerCount = 2
  /// Query heads, each of `hiddenSize` / `headCount` values.
  public var headCount = 4
  /// Key and value heads.
  public var keyValueHeadCount = 2
  /// The number of token ids.
  public var vocabularySize = 32
  /// The most positions.
  public var contextLength = 64
  /// The type of the weights.
  public var elementType = ElementType.float32
  /// Whether the output matrix is the embedding.
  public var tiesEmbeddings = false
  /// The seed of the weights.
  public var seed: UInt64 = 1

  /// The sizes above.
  public init() {}

  /// config.json in the layout of transformers 5.
  public var configuration: String {
    """
    {
      "model_type": "llama", "hidden_size": \(hiddenSize), "intermediate_size": \(intermediateSize),
      "num_hidden_layers": \(layerCount), "num_attention_heads": \(headCount),
      "num_key_value_heads": \(keyValueHeadCount), "vocab_size": \(vocabularySize),
      "max_position_embeddings": \(contextLength), "tie_word_embeddings": \(tiesEmbeddings),
      "bos_token_id": 1, "eos_token_id": 2, "dtype": "\(elementType)",
      "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}
    }
    """
  }

  /// The weights by name.
  public var tensors: [String: Tensor] {
    var random = RandomValues(seed: seed)
    var tensors: [String: Tensor] = [:]
    func add(_ name: String, _ shape: [Int], around center: Double = 0) {
      // Small enough that activations stay near 1 from layer to layer.
      let scale = center == 0 ? 1 / Double(shape.last ?? 1).squareRoot() : 0.1
      let values = random.values(shape.reduce(1, *)).map { center + scale * $0 }
      tensors[name] = Tensor(values, shape: shape, elementType: elementType)
    }
    let keyValueSize = hiddenSize / headCount * keyValueHeadCount
    add("model.embed_tokens.weight", [vocabularySize, hiddenSize])
    for layer in 0..<layerCount {
      let prefix = "model.layers.\(layer)."
      add(prefix + "input_layernorm.weight", [hiddenSize], around: 1)
      add(prefix + "self_attn.q_proj.weight", [hiddenSize, hiddenSize])
      add(prefix + "self_attn.k_proj.weight", [keyValueSize, hiddenSize])
      add(prefix + "self_attn.v_proj.weight", [keyValueSize, hiddenSize])
      add(prefix + "self_attn.o_proj.weight", [hiddenSize, hiddenSize])
      add(prefix + "post_attention_layernorm.weight", [hiddenSize], around: 1)
      add(prefix + "mlp.gate_proj.weight", [intermediateSize, hiddenSize])
      add(prefix + "mlp.up_proj.weight", [intermediateSize, hiddenSize])
      add(prefix + "mlp.down_proj.weight", [hiddenSize, intermediateSize])
    }
    add("model.norm.weight", [hiddenSize], around: 1)
    if !tiesEmbeddings { add("lm_head.weight", [vocabularySize, hiddenSize]) }
    return tensors
  }

  /// Writes config.json and the weights to `folder`: one file, or `shardCount` shards with their index.
  public func write(to folder: String, shardCount: Int = 1) throws {
    try writeFile(configuration, to: folder + "/config.json")
    let tensors = self.tensors
    guard shardCount > 1 else {
      try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: folder + "/model.safetensors")
      return
    }
    var shards = [[String: Tensor]](repeating: [:], count: shardCount)
    for (index, name) in tensors.keys.sorted().enumerated() { shards[index % shardCount][name] = tensors[name] }
    var weightMap: [String] = []
    for (index, shard) in shards.enumerated() {
      let fileName = "model-\(index + 1)-of-\(shardCount).safetensors"
      try SafetensorsWriter.write(shard, metadata: ["format": "pt"], to: "\(folder)/\(fileName)")
      weightMap += shard.keys.sorted().map { "\"\($0)\": \"\(fileName)\"" }
    }
    try writeFile(
      "{\"metadata\": {}, \"weight_map\": {\(weightMap.joined(separator: ", "))}}",
      to: folder + "/model.safetensors.index.json")
  }
}

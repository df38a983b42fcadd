import Foundation
import FoveaCore
import FoveaModels
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct ModelFamilyTests {
  private func configuration(_ more: String) throws -> ModelConfiguration {
    let text = """
      {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 8,
       "vocab_size": 100, \(more)}
      """
    return try ModelConfiguration(parsing: Array(text.utf8))
  }

  @Test("what a file leaves out is as in transformers, family by family")
  func defaults() throws {
    let llama = try configuration(#""model_type": "llama""#)
    #expect(llama.keyValueHeadCount == 8 && llama.contextLength == 2048 && llama.normEpsilon == 1e-6)
    #expect(llama.rotary == RotaryConfiguration(rotaryBase: 10_000) && llama.activation == .silu)
    #expect(llama.beginningOfTextToken == nil && llama.endOfTextTokens == [] && llama.elementType == nil)
    let mistral = try configuration(#""model_type": "mistral", "sliding_window": null"#)
    #expect(mistral.keyValueHeadCount == 8 && mistral.contextLength == 131_072 && mistral.family == .mistral)
  }

  @Test("a window shorter than the context hides keys in the layers that the family or the file names")
  func windows() throws {
    func windows(_ more: String) throws -> [Int?] {
      let sizes = #""num_hidden_layers": 4, "max_position_embeddings": 9000"#
      let text = """
        {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 8, "vocab_size": 100, \(sizes), \(more)}
        """
      return try ModelConfiguration(parsing: Array(text.utf8)).layers.map(\.window)
    }
    #expect(try windows(#""model_type": "llama", "sliding_window": 4"#) == [nil, nil, nil, nil])
    // An absent key means 4096 in transformers, null none.
    #expect(try windows(#""model_type": "mistral""#) == [4096, 4096, 4096, 4096])
    #expect(try windows(#""model_type": "mistral", "sliding_window": null"#) == [nil, nil, nil, nil])
    #expect(try windows(#""model_type": "mistral", "sliding_window": 9000"#) == [nil, nil, nil, nil])
    #expect(
      try windows(#""model_type": "qwen2", "num_key_value_heads": 8, "sliding_window": 5, "max_window_layers": 2"#) == [
        nil, nil, nil, nil,
      ])
    let qwen = #""num_key_value_heads": 8, "use_sliding_window": true, "sliding_window": 5, "max_window_layers": 2"#
    #expect(try windows(#""model_type": "qwen2", \#(qwen)"#) == [nil, nil, 5, 5])
    #expect(try windows(#""model_type": "gemma2", "num_key_value_heads": 8"#) == [4096, nil, 4096, nil])
    #expect(
      try windows(#""model_type": "gemma3_text", "num_key_value_heads": 8, "sliding_window_pattern": 3"#)
        == [4096, 4096, nil, 4096])
    #expect(try windows(#""model_type": "gpt_oss", "num_key_value_heads": 8"#) == [128, nil, 128, nil])
    let layers = #""layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"]"#
    #expect(
      try windows(#""model_type": "smollm3", "num_key_value_heads": 8, "sliding_window": 6, \#(layers)"#)
        == [nil, 6, nil, nil])
    let open = try configuration(#""model_type": "mistral", "sliding_window": null, "attention_bias": true"#)
    #expect(!open.attentionBias && open.modelType == "mistral")
  }

  /// Settings of a family that contradict each other or that Fovea does not build, and what the error must name.
  @Test(
    "each family refuses what it cannot be by name",
    arguments: [
      (#""model_type": "qwen2", "num_key_value_heads": 8, "layer_types": ["sliding_attention"]"#, "sliding_window"),
      (#""model_type": "gemma2", "num_key_value_heads": 8, "sliding_window": null"#, "sliding_window"),
      (#""model_type": "gemma2", "layer_types": ["full_attention", "full_attention"]"#, "layer_types"),
      (#""model_type": "qwen3", "num_key_value_heads": 8, "layer_types": ["linear_attention"]"#, "linear_attention"),
      (#""model_type": "gemma2", "num_key_value_heads": 8, "attn_logit_softcapping": -1"#, "attn_logit_softcapping"),
      (#""model_type": "gemma2", "num_key_value_heads": 8, "query_pre_attn_scalar": 0"#, "query_pre_attn_scalar"),
      (#""model_type": "gemma2", "use_bidirectional_attention": true"#, "use_bidirectional_attention"),
      (#""model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3"#, "num_experts_per_tok"),
      (#""model_type": "mixtral", "num_local_experts": 2, "num_experts": 3"#, "num_local_experts"),
      (#""model_type": "qwen3_moe", "moe_intermediate_size": 0"#, "moe_intermediate_size"),
      (#""model_type": "qwen3_moe", "mlp_only_layers": 3"#, "mlp_only_layers"),
      (#""model_type": "gpt_oss", "swiglu_limit": "high""#, "swiglu_limit"),
      (#""model_type": "gpt_oss", "quantization_config": {"quant_method": "fp8"}"#, "quantization_config"),
      (#""model_type": "granite", "residual_multiplier": 0"#, "residual_multiplier"),
      (#""model_type": "smollm3", "num_key_value_heads": 8, "no_rope_layers": [2]"#, "no_rope_layers"),
      (#""model_type": "smollm3", "num_key_value_heads": 8, "no_rope_layers": []"#, "no_rope_layers"),
      (#""model_type": "starcoder2", "hidden_act": "relu""#, "hidden_act"),
      (#""model_type": "starcoder2", "norm_epsilon": 2"#, "norm_epsilon"),
      (
        #""model_type": "phi3", "rope_scaling": {"type": "su", "short_factor": [1], "long_factor": [1]}"#,
        "short_factor"
      ),
      (#""model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1]}"#, "long_factor"),
      (#""model_type": "phi3", "partial_rotary_factor": 0.4"#, "partial_rotary_factor"),
      (#""model_type": "gemma3", "text_config": {"hidden_size": 64}"#, "text_config"),
      (#""model_type": "gemma3", "text_config": 3"#, "text_config"),
      (#""model_type": "gemma3", "is_causal": false"#, "is_causal"),
    ])
  func familyRefusals(settings: String, name: String) throws {
    let error = #expect(throws: ModelError.self) { try configuration(settings) }
    #expect(error?.description.contains(name) == true, "\(error?.description ?? "")")
    #expect(error?.category == .badData)
  }

  @Test("attention goes both ways by either setting, whose windows count differently")
  func bothWays() throws {
    let qwen = #""num_key_value_heads": 8, "use_sliding_window": true, "max_window_layers": 0, "sliding_window": 6"#
    let bothWays = try configuration(#""model_type": "qwen2", "is_causal": false, \#(qwen)"#)
    #expect(bothWays.isBidirectional && bothWays.layers[0].window == 7)
    let causal = try configuration(#""model_type": "qwen2", "is_causal": true, \#(qwen)"#)
    #expect(!causal.isBidirectional && causal.layers[0].window == 6)
    let gemma = try configuration(
      #""model_type": "gemma3_text", "use_bidirectional_attention": true, "sliding_window": 6"#)
    #expect(gemma.isBidirectional && gemma.layers[0].window == 4)
  }

  @Test("a length before scaling beside Gemma 3's rotary settings means nothing")
  func lengthBeside() throws {
    let outer = #""original_max_position_embeddings": 16"#
    let scaling = #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#
    let gemma = try configuration(#""model_type": "gemma3_text", "rope_scaling": \#(scaling), \#(outer)"#)
    let llama = try configuration(#""model_type": "llama", "rope_scaling": \#(scaling), \#(outer)"#)
    func original(_ configuration: ModelConfiguration) -> Int? {
      if case .llama3(let parameters) = configuration.rotary.scaling { parameters.originalContextLength } else { nil }
    }
    #expect(original(gemma) == 131_072 && original(llama) == 16)
  }

  @Test("a checkpoint with an output matrix beside a tied embedding uses it where it differs")
  func tiedHead() throws {
    try withTemporaryFolder { folder in
      var tiny = TinyCheckpoint()
      tiny.tiesEmbeddings = true
      try tiny.write(to: folder)
      func logits() throws -> (logits: [Float], isTied: Bool) {
        let model = try DecoderModel.load(folder: folder, stream: ComputeStream(threadCount: 1))
        let logits = try model.evaluate([1, 2, 3], cache: model.makeCache()).floats()
        return (logits, model.tiesEmbeddings)
      }
      let tied = try logits()
      #expect(tied.isTied)

      var tensors = tiny.tensors
      let path = folder + "/model.safetensors"
      tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
      try SafetensorsWriter.write(tensors, to: path, overwriting: true)
      let copied = try logits()
      #expect(copied.isTied && copied.logits == tied.logits)

      tiny.tiesEmbeddings = false
      tensors["lm_head.weight"] = tiny.tensors["lm_head.weight"]
      try SafetensorsWriter.write(tensors, to: path, overwriting: true)
      let own = try logits()
      #expect(!own.isTied && own.logits != tied.logits)
      try withTemporaryFolder { folder in
        try tiny.write(to: folder)
        let untied = try DecoderModel.load(folder: folder, stream: ComputeStream(threadCount: 1))
        #expect(try untied.evaluate([1, 2, 3], cache: untied.makeCache()).floats() == own.logits)
      }
    }
  }

  @Test("experts, rotary settings by kind of layer and layers without rotary positions are read")
  func parts() throws {
    let mixtral = try configuration(#""model_type": "mixtral", "num_local_experts": 4"#)
    let experts = try #require(mixtral.experts)
    #expect(experts.expertCount == 4 && experts.expertsPerToken == 2)
    #expect(experts.intermediateSize == 96 && experts.normalizesWeights)
    let qwen = try configuration(
      #""model_type": "qwen3_moe", "num_experts": 9, "moe_intermediate_size": 8, "decoder_sparse_step": 2"#)
    #expect(qwen.experts?.expertCount == 9 && qwen.experts?.normalizesWeights == false)
    #expect(qwen.layers.map(\.feedForward) == [.gated])
    // What the smallest Gemma 3 that sees says of its language model.
    let gemma = try configuration(
      #"""
      "model_type": "gemma3", "eos_token_id": [1, 6], "text_config": {"hidden_size": 2560, "intermediate_size": 10240,
      "model_type": "gemma3_text", "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
      "sliding_window": 1024}
      """#)
    #expect(gemma.headCount == 8 && gemma.keyValueHeadCount == 4 && gemma.headDimension == 256)
    #expect(gemma.vocabularySize == 262_208 && gemma.tiesEmbeddings && gemma.endOfTextTokens == [1, 6])
    #expect(gemma.rotaries.map(\.rotaryBase) == [1_000_000, 10_000])
    #expect(gemma.rotaries.map(\.scaling) == [.linear(factor: 8), .none])
    #expect(gemma.layers[4].window == 1024 && gemma.layers[4].rotaryIndex == 1)
    #expect(gemma.layers[5].window == nil && gemma.layers[5].rotaryIndex == 0)
    #expect(gemma.attentionScale == 1 / 16 && gemma.features.contains("sliding window of 1024 in 29 of 34 layers"))
    let gptOSS = try configuration(#""model_type": "gpt_oss", "num_key_value_heads": 8"#)
    #expect(gptOSS.activation == .clampedSwish(gain: 1.702, limit: 7) && gptOSS.rotary.rotaryBase == 150_000)
    guard case .yarn(let yarn) = gptOSS.rotary.scaling else {
      Issue.record("gpt-oss's default rotary scaling is \(gptOSS.rotary.scaling)")
      return
    }
    #expect(yarn.factor == 32 && yarn.originalContextLength == 4096 && !yarn.truncates)
  }

  @Test(
    "the element type is read from either layout",
    arguments: [
      (#""dtype": "float16""#, "float16"), (#""torch_dtype": "bfloat16""#, "bfloat16"),
      (#""torch_dtype": "torch.float32""#, "float32"), (#""dtype": "float16", "torch_dtype": "float32""#, "float16"),
      (#""dtype": "float8_e4m3fn""#, "nil"),
    ])
  func elementType(setting: String, expected: String) throws {
    let configuration = try configuration(#""model_type": "llama", \#(setting)"#)
    #expect(configuration.elementType?.rawValue ?? "nil" == expected)
  }

  @Test(
    "a feature or number that cannot be is refused by name",
    arguments: [
      (#""layer_types": ["full_attention", "sliding_attention"]"#, "layer_types"),
      (#""partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
      (#""rope_parameters": {"full_attention": {"rope_type": "default"}}"#, "rope_parameters.full_attention"),
      (#""rope_theta": 1e999"#, "rope_theta"), (#""rope_theta": 1e31"#, "rope_theta"),
      (#""rms_norm_eps": 1e-60"#, "rms_norm_eps"), (#""rms_norm_eps": -1e-5"#, "rms_norm_eps"),
      (#""rope_scaling": {"type": "yarn"}"#, "rope_scaling.factor"),
      (#""rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 2}"#, "beta_fast"),
      (#""rope_scaling": {"type": "yarn", "factor": 2, "original_max_position_embeddings": 0}"#, "original_max"),
      (#""rope_scaling": {"type": "yarn", "factor": 9, "mscale": 1, "mscale_all_dim": -100}"#, "mscale"),
      (#""rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4}"#, "high_freq"),
      (#""rope_scaling": {"type": "linear", "factor": 0}"#, "rope_scaling.factor"),
      (#""rope_scaling": {"type": "longrope"}"#, "longrope"),
      (#""head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2}"#, "dynamic"),
    ])
  func refusals(setting: String, name: String) throws {
    let error = #expect(throws: ModelError.self) { try configuration(#""model_type": "llama", \#(setting)"#) }
    #expect(error?.description.contains(name) == true, "\(error?.description ?? "")")
    #expect(error?.category == .badData)
  }

  @Test("errors say what was expected and found")
  func messages() throws {
    try withTemporaryFolder { folder in
      try writeFile(#"{"model_type": "llama", "hidden_size": "two\n"}"#, to: folder + "/config.json")
      let size = #expect(throws: ModelError.self) { try ModelConfiguration.load(folder: folder) }
      #expect(
        size?.description == #"\#(folder)/config.json: 'hidden_size' must be a positive integer, found "two\u{a}""#)
      try writeFile(#"{"model_type": "rwkv"}"#, to: folder + "/config.json")
      let type = #expect(throws: ModelError.self) { try ModelConfiguration.load(folder: folder) }
      #expect(type?.kind == .unknownModelType && type?.message.contains("it knows llama, mistral, mixtral") == true)
    }
  }

  @Test("a tiny checkpoint loads and evaluates", arguments: [1, 3])
  func tinyCheckpoint(shardCount: Int) throws {
    try withTemporaryFolder { folder in
      try TinyCheckpoint().write(to: folder, shardCount: shardCount)
      let model = try DecoderModel.load(folder: folder)
      let logits = try model.evaluate([1, 5, 9], cache: model.makeCache())
      #expect(logits.shape == [1, 32] && logits.floats().allSatisfy(\.isFinite))
    }
  }
}

import Foundation
import FoveaCore
import FoveaModels
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

  @Test("mistral is Llama without biases, and only without a window shorter than the context")
  func mistral() throws {
    let open = try configuration(#""model_type": "mistral", "sliding_window": null, "attention_bias": true"#)
    #expect(!open.attentionBias && open.modelType == "mistral")
    _ = try configuration(#""model_type": "mistral", "sliding_window": 4096, "max_position_embeddings": 4096"#)
    // An absent key means 4096 in transformers.
    for more in [#""max_position_embeddings": 4097"#, #""sliding_window": 100, "max_position_embeddings": 101"#] {
      let error = #expect(throws: ModelError.self) { try configuration(#""model_type": "mistral", \#(more)"#) }
      #expect(error?.kind == .unsupportedFeature && error?.message.contains("sliding_window") == true)
    }
    _ = try configuration(#""model_type": "llama", "sliding_window": 4"#)
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
      #expect(type?.kind == .unknownModelType && type?.message.hasSuffix("it knows llama, mistral") == true)
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

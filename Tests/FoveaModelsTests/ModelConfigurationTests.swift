import Foundation
import FoveaCore
import FoveaModels
import Testing

@Suite struct ModelConfigurationTests {
  /// A whole configuration, in the layout of transformers 5, with some settings replaced; null is as good as absent.
  private func configuration(
    _ changes: [String: Any] = [:], generation: [String: Any]? = nil
  ) throws -> ModelConfiguration {
    var settings: [String: Any] = [
      "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
      "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 256,
      "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
      "rope_parameters": ["rope_type": "default", "rope_theta": 5000.0],
    ]
    for (key, value) in changes { settings[key] = value }
    return try ModelConfiguration(
      parsing: Array(JSONSerialization.data(withJSONObject: settings)),
      generationBytes: generation.map { try Array(JSONSerialization.data(withJSONObject: $0)) })
  }

  @Test("sizes, defaults and switches are read")
  func reads() throws {
    let plain = try configuration()
    #expect(plain.hiddenSize == 64 && plain.intermediateSize == 96 && plain.layerCount == 3)
    #expect(plain.headCount == 4 && plain.keyValueHeadCount == 2 && plain.headDimension == 16)
    #expect(plain.vocabularySize == 100 && plain.contextLength == 256 && plain.normEpsilon == 1e-5)
    #expect(!plain.attentionBias && !plain.feedForwardBias && !plain.tiesEmbeddings)
    #expect(plain.beginningOfTextToken == 1 && plain.endOfTextTokens == [2])
    #expect(plain.rotary.rotaryBase == 5000 && plain.rotary.scaling == .none)

    let other = try configuration([
      "num_key_value_heads": NSNull(), "head_dim": 24, "attention_bias": true, "mlp_bias": true,
      "tie_word_embeddings": true, "eos_token_id": [2, 7],
    ])
    #expect(other.keyValueHeadCount == 4 && other.headDimension == 24)
    #expect(other.attentionBias && other.feedForwardBias && other.tiesEmbeddings && other.endOfTextTokens == [2, 7])
  }

  @Test("the layout of transformers 4 gives the same as that of transformers 5")
  func layouts() throws {
    let scaling: [String: Any] = [
      "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
      "original_max_position_embeddings": 64,
    ]
    let current = try configuration(["rope_parameters": scaling.merging(["rope_theta": 9000.0]) { $1 }])
    let earlier = try configuration([
      "rope_parameters": NSNull(), "rope_theta": 9000.0, "rope_scaling": scaling, "torch_dtype": "bfloat16",
    ])
    #expect(current.rotary == earlier.rotary)
    let linear = try configuration(["rope_parameters": NSNull(), "rope_scaling": ["type": "linear", "factor": 4.0]])
    #expect(linear.rotary.scaling == .linear(factor: 4))
  }

  @Test("end-of-text tokens of generation_config.json take precedence, one or a list")
  func generation() throws {
    #expect(try configuration(generation: ["eos_token_id": 5]).endOfTextTokens == [5])
    #expect(try configuration(generation: ["eos_token_id": [5, 6]]).endOfTextTokens == [5, 6])
    #expect(try configuration(generation: ["temperature": 0.7]).endOfTextTokens == [2])
  }

  /// A setting that must be refused, and what the error must name.
  struct Refusal: CustomStringConvertible, @unchecked Sendable {
    let key: String
    let value: Any
    let names: String
    var description: String { "\(key) = \(value)" }

    init(_ key: String, _ value: Any, names: String? = nil) {
      self.key = key
      self.value = value
      self.names = names ?? key
    }

    static let all = [
      Refusal("hidden_size", NSNull()), Refusal("hidden_size", "64"), Refusal("hidden_size", 0),
      Refusal("hidden_size", -64),
      Refusal("hidden_size", 64.5), Refusal("hidden_size", 1e300), Refusal("hidden_size", [64]),
      Refusal("hidden_size", true), Refusal("num_hidden_layers", "two"), Refusal("num_hidden_layers", 1_000_000_000),
      Refusal("num_attention_heads", 0), Refusal("num_key_value_heads", 3), Refusal("num_attention_heads", 3),
      Refusal("intermediate_size", -1), Refusal("vocab_size", 1 << 40), Refusal("max_position_embeddings", 0),
      Refusal("rms_norm_eps", -1), Refusal("rms_norm_eps", "small"), Refusal("head_dim", 15), Refusal("head_dim", 0),
      Refusal("eos_token_id", 100), Refusal("eos_token_id", -1), Refusal("eos_token_id", "</s>"),
      Refusal("tie_word_embeddings", "yes"), Refusal("attention_bias", 3), Refusal("hidden_act", "relu"),
      Refusal("model_type", NSNull()), Refusal("model_type", 7), Refusal("model_type", "rwkv", names: "llama"),
      Refusal("quantization_config", ["bits": 7]), Refusal("quantization", ["bits": 9]),
      Refusal("rope_parameters", ["rope_type": "su"], names: "su"),
      Refusal("rope_parameters", ["rope_type": "linear"], names: "factor"),
      Refusal("rope_parameters", ["rope_type": "llama3", "factor": 8.0], names: "factor"),
      Refusal("rope_parameters", ["rope_type": "default", "rope_theta": -1.0], names: "rope_theta"),
      Refusal("rope_parameters", "default"),
    ]
  }

  @Test("a setting of the wrong type or size is named in one line", arguments: Refusal.all)
  func refuses(refusal: Refusal) throws {
    let error = try #require(throws: ModelError.self) { try configuration([refusal.key: refusal.value]) }
    let text = error.description
    #expect(text.contains("config.json") && text.contains(refusal.names) && !text.contains("\n"), "\(text)")
    #expect(error.category == .badData)
  }

  @Test("a file cut short anywhere, or no JSON at all, is refused")
  func truncated() throws {
    let whole = Array(try Data(contentsOf: URL(fileURLWithPath: fixture("golden/llama_yarn/config.json"))))
    _ = try ModelConfiguration(parsing: whole)
    let end = try #require(whole.lastIndex(of: UInt8(ascii: "}")))
    for count in 0...end {
      let error = #expect(throws: ModelError.self) { try ModelConfiguration(parsing: Array(whole[..<count])) }
      #expect(error?.kind == .malformedFile, "cut at \(count): \(error?.description ?? "")")
    }
    for text in ["[]", "7", "\u{0}", "{\"a\":1,\"a\":2}", "{\"model_type\":\"llama\"} x"] {
      #expect(throws: ModelError.self) { try ModelConfiguration(parsing: Array(text.utf8)) }
    }
  }

  @Test("an absent folder, and a folder in the file's place, are named")
  func unreadable() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString)")
    let missing = #expect(throws: ModelError.self) { try ModelConfiguration.load(folder: folder.path) }
    #expect(missing?.category == .missingInput && missing?.description.contains(folder.path) == true)
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("config.json"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let wrong = #expect(throws: ModelError.self) { try ModelConfiguration.load(folder: folder.path) }
    #expect(wrong?.description.contains("config.json") == true)
  }
}

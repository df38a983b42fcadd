import Foundation
import Testing

@Suite struct InspectCommandTests {
  @Test func showsTheBundledModel() throws {
    let object = try FoveaExecutable.json(["inspect"])
    #expect(object["model_type"] as? String == "llama")
    #expect(object["layer_count"] as? Int == 8)
    #expect(object["hidden_size"] as? Int == 384)
    #expect(object["intermediate_size"] as? Int == 896)
    #expect(object["head_count"] as? Int == 6)
    #expect(object["key_value_head_count"] as? Int == 2)
    #expect(object["head_dimension"] as? Int == 64)
    #expect(object["vocabulary_size"] as? Int == 8192)
    #expect(object["context_length"] as? Int == 1024)
    #expect(object["parameter_count"] as? Int == 14_555_520)
    #expect(object["weight_bytes_by_type"] as? [String: Int] == ["bfloat16": 29_111_040])
    #expect(object["features"] as? [String] == [])
    #expect(object["cache_bytes_at_full_context"] as? Int == 4096 * 1024)
    // Keys and values of 8 layers, 2 heads, dimension 64, 2 bytes.
    #expect(object["cache_bytes_per_token"] as? Int == 4096)
    #expect((object["tokenizer"] as? [String: Any])?["vocabulary_size"] as? Int == 8192)
  }

  /// A tiny encoder of another target's tests.
  private var encoder: String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("FoveaEmbeddingsTests/Fixtures/bert_mean").path
  }

  @Test func showsAnEncoder() throws {
    let object = try FoveaExecutable.json(["inspect", "--model", encoder])
    #expect(object["model_type"] as? String == "bert")
    #expect(object["pooling"] as? [String] == ["mean"])
    #expect(object["normalizes"] as? Bool == true)
    #expect(object["dimensions"] as? Int == object["hidden_size"] as? Int)
    #expect((object["weight_bytes_by_type"] as? [String: Int])?["float32"] ?? 0 > 0)
    let output = try FoveaExecutable.run(["inspect", "--model", encoder])
    #expect(output.status == 0)
    for name in ["architecture", "texts", "vectors", "prompts", "weights", "tokenizer", "precision"] {
      #expect(output.text.split(separator: "\n").contains { $0.hasPrefix(name) }, "\(name)")
    }
  }

  @Test func anEncoderIsSaidToPredictNothing() throws {
    let output = try FoveaExecutable.run(["generate", "Hi", "--model", encoder])
    #expect(output.status == 65 && output.errors.contains("'bert', an encoder") && output.text.isEmpty)
  }

  @Test func theTableNamesEverySubject() throws {
    let output = try FoveaExecutable.run(["inspect", "--precision", "float32"])
    #expect(output.status == 0)
    for name in [
      "model", "architecture", "features", "weights", "cache", "tokenizer", "precision", "instruction set", "threads",
    ] {
      #expect(output.text.split(separator: "\n").contains { $0.hasPrefix(name) }, "\(name)")
    }
  }

  @Test func theInstructionSetCanBeForced() throws {
    let object = try FoveaExecutable.json(["inspect", "--threads", "2"], environment: ["FOVEA_ISA": "scalar"])
    #expect(object["instruction_set"] as? String == "scalar")
    #expect((object["available_instruction_sets"] as? [String])?.contains("scalar") == true)
    #expect(object["threads"] as? Int == 2)
  }

  @Test func theBundledModelIsFoundThroughASymbolicLink() throws {
    try withTemporaryFolder { folder in
      let link = folder.appendingPathComponent("fovea-link")
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: FoveaExecutable.url)
      let output = try FoveaExecutable.run(["inspect"], executable: link)
      #expect(output.status == 0)
      #expect(output.text.split(separator: "\n").first?.hasSuffix("Models/storyteller-15m") == true)
    }
  }

  @Test func theEnvironmentNamesTheModel() throws {
    let output = try FoveaExecutable.run(["inspect"], environment: ["FOVEA_MODEL": "/no/such/model"])
    #expect(output.status == 66 && output.errors.contains("/no/such/model"))
  }
}

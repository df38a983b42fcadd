import Foundation
import FoveaCore
import FoveaEmbeddings
import FoveaModels
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct EmbeddingLayoutTests {
  /// A copy of a fixture with some files replaced.
  private func load(_ name: String, _ files: [String: String]) throws -> TextEmbedder {
    try withTemporaryFolder { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: EmbeddingFixture(name: name).folder, toPath: copy)
      for (file, text) in files { try writeFile(text, to: "\(copy)/\(file)") }
      return try TextEmbedder(folder: copy, precision: .float32, stream: .shared)
    }
  }

  private func failure(_ name: String, _ files: [String: String]) -> String {
    do {
      _ = try load(name, files)
      return "no error"
    } catch {
      return String(describing: error)
    }
  }

  @Test("settings are read; a plain checkpoint says what it takes")
  func settings() throws {
    let bert = try load("bert_mean", [:])
    #expect(bert.prompts == ["query": "query: ", "passage": ""])
    #expect(bert.defaultPromptName == nil)
    #expect(bert.similarity == .dot)
    #expect(bert.pooling == [.mean])
    #expect(bert.dimensions == 32)
    #expect(bert.warnings.isEmpty)
    let gemma = try load("gemma3_bidirectional", [:])
    #expect(gemma.defaultPromptName == "document")
    let roberta = try load("roberta_dense", [:])
    #expect(roberta.dimensions == 20)
    #expect(roberta.sequenceLengthLimit == 46)
    #expect(roberta.pooling == [.firstToken, .max, .mean, .meanOverSquareRoot, .weightedMean, .lastToken])
    let plain = try load("bert_plain", [:])
    #expect(plain.warnings.count == 1)
    #expect(plain.warnings[0].contains("no modules.json"))
    #expect(plain.pooling == [.mean])
  }

  @Test("pooling flags of either form, and none at all")
  func pooling() throws {
    let file = "1_Pooling/config.json"
    func modes(_ text: String) throws -> [PoolingMode] { try load("bert_mean", [file: text]).pooling }
    #expect(
      try modes("{\"pooling_mode_cls_token\": true, \"pooling_mode_lasttoken\": true}") == [.firstToken, .lastToken])
    #expect(try modes("{\"pooling_mode_cls_token\": false}") == [.mean])
    #expect(try modes("{\"pooling_mode\": \"max\", \"pooling_mode_cls_token\": true}") == [.max])
    #expect(try modes("{\"pooling_mode\": [\"weightedmean\", \"cls\"]}") == [.weightedMean, .firstToken])
    #expect(failure("bert_mean", [file: "{\"pooling_mode\": \"median\"}"]).contains("'pooling_mode' holds \"median\""))
    #expect(failure("bert_mean", [file: "{\"pooling_mode\": []}"]).contains("'pooling_mode' must be"))
    #expect(failure("bert_mean", [file: "{\"pooling_mode_mean_tokens\": 1}"]).contains("true or false"))
  }

  @Test("modules that Fovea lacks, and files that make no sense, are named")
  func refused() {
    func modules(_ types: [String], path: String = "") -> [String: String] {
      let entries = types.map { "{\"type\": \"sentence_transformers.models.\($0)\", \"path\": \"\(path)\"}" }
      return ["modules.json": "[\(entries.joined(separator: ","))]"]
    }
    #expect(failure("bert_mean", modules(["WordEmbeddings"])).contains("models.WordEmbeddings"))
    #expect(failure("bert_mean", modules(["Transformer", "LSTM"])).contains("LSTM' after Transformer"))
    #expect(failure("bert_mean", modules(["Transformer"])).contains("has no Pooling module"))
    #expect(failure("bert_mean", modules(["Transformer"], path: "../other")).contains("outside of the model's folder"))
    #expect(failure("bert_mean", modules(["Transformer"], path: "/etc")).contains("outside of the model's folder"))
    #expect(failure("bert_mean", ["modules.json": "{}"]).contains("must be a list of modules"))
    #expect(failure("bert_mean", ["modules.json": "[{}]"]).contains("module 0 has no 'type'"))
    #expect(failure("bert_mean", ["modules.json": "[1"]).contains("modules.json"))
    let settings = "config_sentence_transformers.json"
    #expect(failure("bert_mean", [settings: "{\"similarity_fn_name\": \"maxsim\"}"]).contains("'maxsim'"))
    #expect(failure("bert_mean", [settings: "{\"default_prompt_name\": \"x\"}"]).contains("'prompts' does not have"))
    #expect(failure("bert_mean", [settings: "{\"prompts\": {\"x\": 1}}"]).contains("'prompts' must be"))
  }

  @Test("dense layers are checked")
  func dense() throws {
    let file = "2_Dense/config.json"
    func failure(_ text: String) -> String { self.failure("roberta_dense", [file: text]) }
    let sizes = "\"in_features\": 192, \"out_features\": 20"
    #expect(failure("{\(sizes), \"activation_function\": \"torch.nn.modules.activation.Mish\"}").contains("Mish"))
    #expect(failure("{\(sizes), \"activation_function\": \"os.system\"}").contains("os.system"))
    #expect(failure("{\(sizes), \"use_residual\": true}").contains("use_residual"))
    #expect(failure("{\"in_features\": 192}").contains("'out_features' is missing"))
    #expect(failure("{\"in_features\": 190, \"out_features\": 20}").contains("linear.weight"))
    #expect(self.failure("roberta_dense", ["1_Pooling/config.json": "{}"]).contains("takes 192 values, but gets 32"))
    // Tanh is what a file that says nothing means.
    #expect(failure("{\(sizes)}") == "no error")
  }

  @Test("encoders' settings are checked")
  func encoders() {
    let sizes =
      "\"model_type\": \"bert\", \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2, "
      + "\"num_attention_heads\": 4, \"vocab_size\": 48"
    func failure(_ more: String) -> String { self.failure("bert_plain", ["config.json": "{\(sizes), \(more)}"]) }
    #expect(
      failure("\"max_position_embeddings\": 48, \"position_embedding_type\": \"relative_key\"").contains("relative_key")
    )
    #expect(failure("\"hidden_act\": \"mish\"").contains("mish"))
    #expect(failure("\"is_decoder\": true").contains("is_decoder"))
    #expect(failure("\"layer_norm_eps\": 0").contains("layer_norm_eps"))
    #expect(failure("\"max_position_embeddings\": 47").contains("position_embeddings.weight"))
    #expect(self.failure("bert_plain", ["config.json": "{\"model_type\": \"deberta\"}"]).contains("deberta"))
  }
}

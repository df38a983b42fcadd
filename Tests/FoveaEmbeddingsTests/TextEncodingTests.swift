import Foundation
import FoveaCore
import FoveaEmbeddings
import FoveaModels
import FoveaTestSupport
import Testing

/// Texts through the bundled model and its tokenizer, which puts `<s>` before them.
@Suite struct TextEncodingTests {
  private static let bundled = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Models/storyteller-15m").path

  /// The bundled model with the files of sentence-transformers.
  private func load(_ files: [String: String]) throws -> TextEmbedder {
    try withTemporaryFolder { folder in
      for file in try names(inFolder: Self.bundled) {
        try FileManager.default.createSymbolicLink(
          atPath: "\(folder)/\(file)", withDestinationPath: "\(Self.bundled)/\(file)")
      }
      for (file, text) in files {
        let path = "\(folder)/\(file)"
        let parent = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try writeFile(text, to: path)
      }
      return try TextEmbedder(folder: folder, precision: .float32, stream: .shared)
    }
  }

  private static let modules = """
    [{"type": "sentence_transformers.models.Transformer", "path": ""},
     {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
     {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]
    """

  @Test("texts give the vectors of their tokens, in their order")
  func texts() async throws {
    let embedder = try load([:])
    let texts = ["Once upon a time", "", "a", "The cat sat on the mat and looked at the dog. "]
    let embeddings = try await embedder.embed(texts)
    let tokens = try texts.map { try embedder.tokens(of: $0, prompt: .none) }
    #expect(embeddings == (try await embedder.embed(tokens: tokens)))
    #expect(embeddings.map(\.tokenCount) == tokens.map(\.count))
    // `<s>` alone.
    #expect(tokens[1].count == 1)
    #expect(try await embedder.embed(texts[3]) == embeddings[3])
  }

  @Test("prompts by name, by default, given, and unknown")
  func prompts() async throws {
    let embedder = try load([
      "modules.json": Self.modules, "1_Pooling/config.json": "{\"pooling_mode\": \"mean\"}",
      "config_sentence_transformers.json":
        "{\"prompts\": {\"q\": \"Find: \", \"d\": \"Text: \"}, \"default_prompt_name\": \"d\"}",
    ])
    let plain = try await embedder.embed(["Find: cat", "Text: cat", "cat"], prompt: .none)
    #expect(try await embedder.embed("cat", prompt: .named("q")) == plain[0])
    #expect(try await embedder.embed("cat") == plain[1])
    #expect(try await embedder.embed("cat", prompt: .text("Find: ")) == plain[0])
    let error = await #expect(throws: EmbeddingError.self) { try await embedder.embed("cat", prompt: .named("x")) }
    #expect(error?.kind == .unknownPrompt)
    #expect(error?.message.contains("it has 'd', 'q'") == true)
    #expect(abs(try Similarity.dot(plain[0].values, plain[0].values) - 1) < 1e-5)
  }

  @Test("tokens of a prompt do not count in pooling where the model says so")
  func promptPooling() async throws {
    let files = ["modules.json": Self.modules, "1_Pooling/config.json": "{\"include_prompt\": false}"]
    let embedder = try load(files)
    let options = EmbeddingOptions(normalizes: false)
    let embedding = try await embedder.embed("cat", prompt: .text("Find the"), options: options)
    let prompt = try embedder.tokens(of: "Find the", prompt: .none)
    let whole = try embedder.tokens(of: "Find thecat", prompt: .none)
    let states = try embedder.model.hiddenStates(of: whole).doubles()
    let width = embedder.dimensions
    let rows = prompt.count..<whole.count
    let expected = (0..<width).map { column in
      rows.reduce(0.0) { $0 + states[$1 * width + column] } / Double(rows.count)
    }
    #expect(rows.count > 0)
    #expect(largestDifference(embedding.values, expected) <= 1e-4)
  }

  @Test("a text that is too long loses its end, and says so")
  func truncation() async throws {
    let embedder = try load(["sentence_bert_config.json": "{\"max_seq_length\": 7}"])
    let text = "One day a little girl went to the park with her mother and a dog"
    let tokens = try embedder.tokens(of: text, prompt: .none)
    let embedding = try await embedder.embed(text)
    #expect(embedding.tokenCount == 7)
    #expect(tokens.count == 7)
    let longer = try load([:])
    let all = try longer.tokens(of: text, prompt: .none)
    #expect(embedding.truncatedTokenCount == all.count - 7)
    #expect(tokens == Array(all.prefix(7)))
    await #expect(throws: EmbeddingError.self) {
      try await embedder.embed([text], options: EmbeddingOptions(refusesTruncation: true))
    }
  }

  @Test("lower case is made where the settings ask for it")
  func lowerCase() async throws {
    let embedder = try load(["sentence_bert_config.json": "{\"do_lower_case\": true}"])
    #expect(try await embedder.embed("ONCE Upon") == (try await embedder.embed("once upon")))
  }
}

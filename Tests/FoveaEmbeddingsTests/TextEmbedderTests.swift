import FoveaCore
import FoveaEmbeddings
import FoveaModels
import FoveaSafetensors
import Testing

@Suite struct TextEmbedderTests {
  @Test("hidden states and vectors agree with transformers and sentence-transformers", arguments: EmbeddingFixture.all)
  func agrees(fixture: EmbeddingFixture) async throws {
    let expected = try fixture.expected()
    for instructionSet in InstructionSet.available {
      let embedder = try await fixture.embedder(instructionSet: instructionSet)
      let shown = Array(expected.tokens[expected.shown].prefix(embedder.sequenceLengthLimit))
      let states = try embedder.model.hiddenStates(of: shown).floats()
      let magnitude = expected.states.map(abs).max() ?? 0
      let stateDifference = largestDifference(states, expected.states)
      #expect(stateDifference <= 1e-5 * max(1, magnitude), "\(instructionSet.name) states")
      let embeddings = try await embedder.embed(tokens: expected.tokens)
      for (index, (embedding, vector)) in zip(embeddings, expected.vectors).enumerated() {
        let difference = largestDifference(embedding.values, vector)
        #expect(difference <= 1e-5, "\(instructionSet.name) text \(index)")
      }
      #expect(embeddings.count == expected.vectors.count)
    }
  }

  @Test("a vector is the same bits in any batch, order and on any threads", arguments: EmbeddingFixture.all)
  func sameBits(fixture: EmbeddingFixture) async throws {
    let tokens = try fixture.expected().tokens
    let embedder = try await fixture.embedder()
    let whole = try await embedder.embed(tokens: tokens)
    for (index, text) in tokens.enumerated() {
      #expect(try await embedder.embed(tokens: [text]) == [whole[index]], "text \(index) alone")
    }
    for batchTokenCount in [1, 30, 100] {
      let options = EmbeddingOptions(batchTokenCount: batchTokenCount)
      #expect(try await embedder.embed(tokens: tokens, options: options) == whole, "\(batchTokenCount) a batch")
    }
    // So many that each thread takes texts of its own through all layers.
    let many = try await embedder.embed(tokens: (0..<12).flatMap { _ in tokens })
    #expect(many == (0..<12).flatMap { _ in whole })
    let backwards = try await embedder.embed(tokens: tokens.reversed() + tokens)
    #expect(backwards == whole.reversed() + whole)
    for threadCount in [1, 3] {
      let other = try await fixture.embedder(threadCount: threadCount)
      #expect(try await other.embed(tokens: tokens) == whole, "\(threadCount) threads")
    }
    for instructionSet in InstructionSet.available {
      let (alone, shared) = (
        try await fixture.embedder(threadCount: 1, instructionSet: instructionSet),
        try await fixture.embedder(threadCount: 3, instructionSet: instructionSet)
      )
      let expected = try await shared.embed(tokens: tokens)
      #expect(try await alone.embed(tokens: tokens.reversed()) == expected.reversed(), "\(instructionSet.name)")
      #expect(try await shared.embed(tokens: [tokens[6]]) == [expected[6]], "\(instructionSet.name) alone")
    }
  }

  @Test("native precision of bfloat16 weights stays near float32")
  func bfloat16() async throws {
    let fixture = EmbeddingFixture(name: "bert_bfloat16")
    let expected = try fixture.expected()
    let embedder = try await TextEmbedder.load(fixture.folder, precision: .native, threadCount: 2)
    let embeddings = try await embedder.embed(tokens: expected.tokens)
    for (embedding, vector) in zip(embeddings, expected.vectors) {
      let cosine = try Similarity.cosine(embedding.values, vector.map(Float.init))
      #expect(cosine >= 0.999)
    }
    let alone = try await embedder.embed(tokens: [expected.tokens[6]])
    #expect(alone == [embeddings[6]])
  }

  @Test("bfloat16 precision of float32 weights stays near float32", arguments: ["bert_mean", "xlm_roberta", "qwen3"])
  func roundedWeights(name: String) async throws {
    let fixture = EmbeddingFixture(name: name)
    let expected = try fixture.expected()
    let embedder = try await TextEmbedder.load(fixture.folder, precision: .bfloat16, threadCount: 2)
    for (embedding, vector) in zip(try await embedder.embed(tokens: expected.tokens), expected.vectors) {
      #expect(try Similarity.cosine(embedding.values, vector.map(Float.init)) >= 0.999)
    }
  }

  @Test(
    "encoders with 16-bit integers stay near float32, the same bits in any batch and on any threads",
    arguments: ["bert_mean", "xlm_roberta", "bert_bfloat16"])
  func integerFactors(name: String) async throws {
    let fixture = EmbeddingFixture(name: name)
    let tokens = try fixture.expected().tokens
    let float32 = try await fixture.embedder().embed(tokens: tokens)
    for instructionSet in InstructionSet.available {
      func embedder(threadCount: Int) async throws -> TextEmbedder {
        let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
        return try await TextEmbedder.load(fixture.folder, precision: .int16, stream: stream)
      }
      let (shared, alone) = (try await embedder(threadCount: 3), try await embedder(threadCount: 1))
      let embeddings = try await shared.embed(tokens: tokens)
      for (embedding, expected) in zip(embeddings, float32) where !expected.values.allSatisfy({ $0 == 0 }) {
        #expect(try Similarity.cosine(embedding.values, expected.values) >= 0.999999)
      }
      #expect(embeddings != float32)
      #expect(try await alone.embed(tokens: tokens.reversed()) == embeddings.reversed(), "\(instructionSet.name)")
      #expect(try await shared.embed(tokens: [tokens[6]]) == [embeddings[6]], "\(instructionSet.name) alone")
      let many = (0..<40).flatMap { _ in tokens }
      #expect(
        try await alone.embed(tokens: many) == (0..<40).flatMap { _ in embeddings }, "\(instructionSet.name) in blocks")
    }
  }

  @Test("decoders with 16-bit integers stay near float32", arguments: ["qwen3", "gemma3_bidirectional"])
  func integerFactorsOfDecoders(name: String) async throws {
    let fixture = EmbeddingFixture(name: name)
    let tokens = try fixture.expected().tokens
    let float32 = try await TextEmbedder.load(fixture.folder, precision: .float32, threadCount: 2).embed(tokens: tokens)
    let int16 = try await TextEmbedder.load(fixture.folder, precision: .int16, threadCount: 2).embed(tokens: tokens)
    for (embedding, expected) in zip(int16, float32) where !expected.values.allSatisfy({ $0 == 0 }) {
      #expect(try Similarity.cosine(embedding.values, expected.values) >= 0.999999)
    }
    #expect(int16 != float32)
  }

  @Test("tokens beyond the limit are cut, reported, or refused")
  func truncation() async throws {
    let embedder = try await EmbeddingFixture(name: "bert_mean").embedder()
    #expect(embedder.sequenceLengthLimit == 290)
    let long = (0..<300).map { 2 + $0 % 40 }
    let embeddings = try await embedder.embed(tokens: [long, Array(long.prefix(290))])
    #expect(embeddings[0].truncatedTokenCount == 10)
    #expect(embeddings[0].isTruncated)
    #expect(embeddings[0].tokenCount == 290)
    #expect(embeddings[0].values == embeddings[1].values)
    #expect(!embeddings[1].isTruncated)
    let error = await #expect(throws: EmbeddingError.self) {
      try await embedder.embed(tokens: [[5], long], options: EmbeddingOptions(refusesTruncation: true))
    }
    #expect(error?.kind == .textTooLong)
    #expect(error?.message.contains("text 2 has 300 tokens") == true)
  }

  @Test("no texts give no vectors, and a text without tokens gives zeros")
  func empty() async throws {
    for fixture in EmbeddingFixture.all {
      let embedder = try await fixture.embedder()
      #expect(try await embedder.embed(tokens: []).isEmpty)
      #expect(try await embedder.embed(tokens: [[]])[0].values.allSatisfy { $0 == 0 })
      let embeddings = try await embedder.embed(tokens: [[], [5], []])
      #expect(embeddings[0].values == [Float](repeating: 0, count: embedder.dimensions), "\(fixture)")
      #expect(embeddings[2] == embeddings[0])
      let alone = try await embedder.embed(tokens: [[5]])
      #expect(embeddings[1] == alone[0])
    }
  }

  @Test("dimensions cut the vector and normalise it again")
  func matryoshka() async throws {
    let embedder = try await EmbeddingFixture(name: "qwen3").embedder()
    let whole = try await embedder.embed(tokens: [[5, 6, 7]])
    let cut = try await embedder.embed(tokens: [[5, 6, 7]], options: EmbeddingOptions(dimensions: 8))
    let length = whole[0].values.prefix(8).reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(largestDifference(cut[0].values, whole[0].values.prefix(8).map { Double($0) / length }) <= 1e-6)
    let raw = try await embedder.embed(
      tokens: [[5, 6, 7]], options: EmbeddingOptions(dimensions: 8, normalizes: false))
    let rawWhole = try await embedder.embed(tokens: [[5, 6, 7]], options: EmbeddingOptions(normalizes: false))
    #expect(raw[0].values == Array(rawWhole[0].values.prefix(8)))
    for dimensions in [0, 33] {
      let error = await #expect(throws: EmbeddingError.self) {
        try await embedder.embed(tokens: [[5]], options: EmbeddingOptions(dimensions: dimensions))
      }
      #expect(error?.kind == .invalidOption)
    }
  }

  @Test("normalisation can be asked for where the model has none")
  func normalizes() async throws {
    let embedder = try await EmbeddingFixture(name: "mistral").embedder()
    let raw = try await embedder.embed(tokens: [[5, 6]])
    let normed = try await embedder.embed(tokens: [[5, 6]], options: EmbeddingOptions(normalizes: true))
    let length = raw[0].values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(abs(length - 1) > 0.01)
    #expect(largestDifference(normed[0].values, raw[0].values.map { Double($0) / length }) <= 1e-6)
  }

  @Test("every pooling mode is what its formula says", arguments: PoolingMode.allCases)
  func pooling(mode: PoolingMode) async throws {
    let embedder = try await EmbeddingFixture(name: "bert_plain").embedder()
    let tokens = [3, 9, 27, 11, 5]
    let states = try embedder.model.hiddenStates(of: tokens).doubles()
    let rows = (0..<5).map { Array(states[$0 * 32..<($0 + 1) * 32]) }
    let expected = (0..<32).map { column -> Double in
      let values = rows.map { $0[column] }
      return switch mode {
      case .firstToken: values[0]
      case .lastToken: values[4]
      case .max: values.max() ?? .nan
      case .mean: values.reduce(0, +) / 5
      case .meanOverSquareRoot: values.reduce(0, +) / 5.0.squareRoot()
      case .weightedMean: zip(values, 1...).reduce(0) { $0 + $1.0 * Double($1.1) } / 15
      }
    }
    let embeddings = try await embedder.embed(tokens: [tokens], options: EmbeddingOptions(pooling: [mode]))
    #expect(largestDifference(embeddings[0].values, expected) <= 1e-5)
  }

  @Test("progress counts texts and tokens, and can end the call")
  func progress() async throws {
    struct Stop: Error {}
    let embedder = try await EmbeddingFixture(name: "bert_plain").embedder()
    let tokens = (1...20).map { [Int](repeating: 7, count: $0) }
    let seen = Log()
    _ = try await embedder.embed(tokens: tokens, options: EmbeddingOptions(batchTokenCount: 40)) { seen.add($0) }
    #expect(seen.reports.count > 3)
    #expect(seen.reports.last == EmbeddingProgress(embeddedTextCount: 20, textCount: 20, tokenCount: 210))
    await #expect(throws: Stop.self) {
      try await embedder.embed(tokens: tokens) { _ in throw Stop() }
    }
  }

  private final class Log: @unchecked Sendable {
    // Called by one thread at a time, read after the call.
    private(set) var reports: [EmbeddingProgress] = []
    func add(_ report: EmbeddingProgress) { reports.append(report) }
  }

  @Test("tokens outside of the vocabulary are an error")
  func vocabulary() async throws {
    for name in ["bert_plain", "qwen3"] {
      let embedder = try await EmbeddingFixture(name: name).embedder()
      for token in [-1, 48] {
        let error = await #expect(throws: ModelError.self) { try await embedder.embed(tokens: [[3, token]]) }
        #expect(error?.kind == .tokenOutOfRange)
      }
    }
  }

  @Test("a model that attends both ways does not predict tokens")
  func bidirectional() throws {
    let model = try DecoderModel.load(folder: EmbeddingFixture(name: "gemma3_bidirectional").folder)
    let error = #expect(throws: ModelError.self) { try model.evaluate([3, 4], cache: model.makeCache()) }
    #expect(error?.kind == .unsupportedFeature)
  }

  @Test("a decoder's states are those that its logits come from")
  func decoderStates() async throws {
    let fixture = EmbeddingFixture(name: "qwen3")
    let model = try DecoderModel.load(folder: fixture.folder, precision: .float32)
    let tokens = try fixture.expected().tokens[7]
    let states = try model.hiddenStates(of: tokens)
    let logits = try model.evaluate(tokens, cache: model.makeCache(), logits: .all).doubles()
    let again = try model.hiddenStates(of: Array(tokens.prefix(20)))
    // Causal: what follows changes nothing.
    #expect(again.floats() == Array(states.floats().prefix(20 * 32)))
    let head = try Checkpoint.open(folder: fixture.folder).tensor("embed_tokens.weight").doubles()
    let values = states.doubles()
    for (index, logit) in logits.enumerated() {
      let (row, token) = (index / 48, index % 48)
      let product = (0..<32).reduce(0.0) { $0 + values[row * 32 + $1] * head[token * 32 + $1] }
      #expect(abs(product - logit) <= 1e-4 * max(1, abs(logit)), "token \(token) after \(row)")
    }
  }
}

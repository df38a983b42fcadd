import CFovea
import Foundation
import FoveaEmbeddings
import Testing

@Suite struct EmbedderTests {
  private let texts = ["The cat sat on the mat.", "Tom drove 🚗.", "", String(repeating: "word ", count: 3000)]

  private func withEmbedder<Result>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
    try withHandle({ fovea_embedder_load(bundledModel, nil, $0) }, free: fovea_embedder_free, body)
  }

  private func embed(
    _ embedder: OpaquePointer, capacity: Int = 4 * 384, _ change: (inout fovea_embedding_options) -> Void = { _ in }
  ) -> (status: fovea_status, vectors: [Float], count: Int, truncated: [Int32]) {
    var options = sized(fovea_embedding_options(), \.struct_size, change)
    var vectors = [Float](repeating: -7, count: 4 * 384)
    var truncated = [Int32](repeating: -7, count: 4)
    var count = 0
    let strings = texts.map { strdup($0) }
    defer { strings.forEach { free($0) } }
    let status = vectors.withUnsafeMutableBufferPointer { vectors in
      strings.map { UnsafePointer<CChar>($0) }.withUnsafeBufferPointer { strings in
        fovea_embedder_embed(
          embedder, strings.baseAddress, nil, 4, &options, vectors.baseAddress, capacity, &count, &truncated)
      }
    }
    return (status, vectors, count, truncated)
  }

  @Test("vectors and truncations are TextEmbedder's, with the options of a call")
  func sameVectors() async throws {
    let reference = try await TextEmbedder.load(bundledModel, threadCount: 1)
    let plain = try await reference.embed(texts)
    let cut = try await reference.embed(
      texts, prompt: .text("query: "), options: EmbeddingOptions(dimensions: 16, normalizes: true))
    try withEmbedder { embedder in
      var properties = sized(fovea_embedder_properties(), \.struct_size)
      try check(fovea_embedder_get_properties(embedder, &properties))
      #expect(properties.dimensions == 384 && properties.sequence_length_limit == 1024)
      #expect(properties.vocabulary_size == 8192 && properties.thread_count > 0)
      #expect(withUnsafeBytes(of: properties.similarity) { Array($0.prefix(7)) } == Array("cosine\0".utf8))
      let result = embed(embedder)
      #expect(result.status == Status.ok && result.count == 4 * 384)
      #expect(result.vectors == plain.flatMap(\.values))
      #expect(result.truncated == plain.map { Int32($0.truncatedTokenCount) } && result.truncated[3] > 0)
      let short = try "query: ".withCString { prompt in
        let result = embed(embedder, capacity: 64) {
          $0.prompt_kind = fovea_prompt_kind(FOVEA_PROMPT_TEXT)
          $0.prompt = prompt
          $0.dimensions = 16
          $0.normalization = fovea_normalization(FOVEA_NORMALIZE_YES)
        }
        try check(result.status)
        return result
      }
      #expect(short.count == 64 && Array(short.vectors.prefix(64)) == cut.flatMap(\.values))
      #expect(short.vectors[64...].allSatisfy { $0 == -7 })
      // A zero byte inside of a text, whose length is given.
      var vector = [Float](repeating: 0, count: 384)
      let bytes: [CChar] = [97, 0, 98, 7]
      let status = bytes.withUnsafeBufferPointer { bytes in
        fovea_embedder_embed(embedder, [bytes.baseAddress], [3], 1, nil, &vector, 384, nil, nil)
      }
      #expect(status == Status.ok)
      let expected = try reference.embedNow(["a\0b"])
      #expect(vector == expected[0].values)
    }
  }

  @Test("bad texts, options and buffers give a status and a text")
  func badArguments() throws {
    try withEmbedder { embedder in
      let invalid = Status.invalidArgument
      let short = embed(embedder, capacity: 4 * 384 - 1)
      #expect(short.status == Status.bufferTooSmall && short.count == 4 * 384)
      #expect(short.vectors.allSatisfy { $0 == -7 } && short.truncated.allSatisfy { $0 == -7 })
      #expect(embed(embedder) { $0.struct_size = 1 }.status == invalid)
      #expect(embed(embedder) { $0.dimensions = 385 }.status == invalid)
      #expect(embed(embedder) { $0.dimensions = -1 }.status == invalid)
      #expect(embed(embedder) { $0.batch_token_count = -1 }.status == invalid)
      #expect(embed(embedder) { $0.prompt_kind = 9 }.status == invalid)
      #expect(embed(embedder) { $0.prompt_kind = fovea_prompt_kind(FOVEA_PROMPT_NAME) }.status == invalid)
      #expect(lastError == "prompt is null")
      #expect(embed(embedder) { $0.normalization = 3 }.status == invalid)
      #expect(embed(embedder) { $0.refuse_truncation = 1 }.status == Status.badData)
      #expect(lastError.hasPrefix("text 4 has"))
      let unknown = "nobody".withCString { name in
        embed(embedder) {
          $0.prompt_kind = fovea_prompt_kind(FOVEA_PROMPT_NAME)
          $0.prompt = name
        }
      }
      #expect(unknown.status == invalid)
      var vector = [Float](repeating: 0, count: 384)
      var count = 0
      #expect(fovea_embedder_embed(embedder, nil, nil, 1, nil, &vector, 384, nil, nil) == invalid)
      #expect(fovea_embedder_embed(embedder, [nil], nil, 1, nil, &vector, 384, nil, nil) == invalid)
      #expect(lastError == "texts[0] is null")
      #expect(fovea_embedder_embed(embedder, nil, nil, -1, nil, &vector, 384, nil, nil) == invalid)
      #expect(fovea_embedder_embed(embedder, nil, nil, Int.max, nil, nil, 0, &count, nil) == invalid)
      #expect(fovea_embedder_embed(embedder, nil, nil, 0, nil, nil, 0, nil, nil) == invalid)
      try check(fovea_embedder_embed(embedder, nil, nil, 0, nil, &vector, 384, &count, nil))
      #expect(count == 0)
    }
  }
}

import Foundation
import FoveaCore
import FoveaEmbeddings
import FoveaModels

/// A tiny random model with what transformers and sentence-transformers compute; Tools/make-embedding-fixtures.py makes
/// them.
struct EmbeddingFixture: CustomStringConvertible, Sendable {
  let name: String
  var description: String { name }

  static let all = [
    "bert_mean", "bert_plain", "bert_bfloat16", "roberta_dense", "xlm_roberta", "distilbert", "mpnet", "qwen3",
    "mistral", "gemma3_bidirectional", "qwen2_bidirectional",
  ].map(EmbeddingFixture.init)

  var folder: String { Bundle.module.bundlePath + "/Fixtures/\(name)" }

  struct Expected: Decodable {
    /// The texts.
    let tokens: [[Int]]
    /// The text whose hidden states are given.
    let shown: Int
    let states: [Double]
    let vectors: [[Double]]
  }

  func expected() throws -> Expected {
    try JSONDecoder().decode(Expected.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json")))
  }

  func embedder(threadCount: Int = 2, instructionSet: InstructionSet? = nil) async throws -> TextEmbedder {
    let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
    return try await TextEmbedder.load(folder, precision: .float32, stream: stream)
  }
}

/// The largest difference; NaN if a value is NaN, infinite if the counts differ.
func largestDifference(_ got: [Float], _ expected: [Double]) -> Double {
  guard got.count == expected.count else { return .infinity }
  var largest = 0.0
  for (value, reference) in zip(got, expected) {
    let difference = abs(Double(value) - reference)
    if !(difference <= largest) { largest = difference }
    if difference.isNaN { return .nan }
  }
  return largest
}

import Foundation
import FoveaCore
import FoveaModels

/// A tiny random model with what transformers computes from it in float32 (eager attention): see Tools/golden.
struct GoldenModel: Sendable {
  /// The contents of expected.json.
  struct Expected: Decodable, Sendable {
    let tokens: [Int]
    let logitPositions: [Int]
    /// The logits after each of `logitPositions`.
    let logits: [[Double]]
    /// Of token i + 1 given tokens 0…i, in nats.
    let nll: [Double]
    /// The 24 tokens after the first 8.
    let greedy: [Int]

    enum CodingKeys: String, CodingKey {
      case tokens
      case logitPositions = "logit_positions"
      case logits
      case nll
      case greedy
    }
  }

  let folder: String
  let expected: Expected

  static let names = ["llama", "llama_headdim_bias", "llama_linear", "llama_yarn", "llama_dynamic"]

  init(_ name: String) throws {
    folder = try fixture("golden/\(name)")
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json"))
    expected = try JSONDecoder().decode(Expected.self, from: data)
  }
}

/// The path of a file or folder among this target's fixtures.
func fixture(_ path: String) throws -> String {
  guard let url = Bundle.module.url(forResource: "Fixtures/\(path)", withExtension: nil) else {
    throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: path])
  }
  return url.path
}

extension Tensor {
  /// The values of one row of a matrix.
  func row(_ index: Int) -> [Float] { sliced(axis: 0, index..<index + 1).floats() }
}

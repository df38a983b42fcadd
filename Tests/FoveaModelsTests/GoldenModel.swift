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

  /// The folders of this target's fixtures, and of `shared/golden` beside the package where there is one, whose names
  /// here begin with `shared/`.
  static let names: [String] = {
    let own = (try? fixture("golden")).map(folders) ?? []
    return own + folders(sharedFolder).map { "shared/\($0)" }
  }()

  private static let sharedFolder = BundledModelTests.root
    .deletingLastPathComponent().appendingPathComponent("shared/golden").path

  private static func folders(_ path: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? []
  }

  init(_ name: String) throws {
    folder =
      name.hasPrefix("shared/") ? "\(Self.sharedFolder)/\(name.dropFirst(7))" : try fixture("golden/\(name)")
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

extension RotaryConfiguration {
  /// Whether the length of the text chooses the frequencies of all its positions.
  var isLong: Bool { if case .long = scaling { true } else { false } }
}

import Foundation
import FoveaCore
import FoveaEvaluation
import FoveaModels
import FoveaTokenizers
import Testing

@Suite struct BundledModelTests {
  /// This package.
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  /// Models/storyteller-15m of this package.
  static let folder = root.appendingPathComponent("Models/storyteller-15m").path

  @Test(
    "the loss on the held-out documents is the model card's",
    arguments: [(Precision.float32, 0.32097), (Precision.native, 0.32087)])
  func loss(precision: Precision, card: Double) throws {
    let text = try String(contentsOfFile: fixture("storyteller-15m-validation.txt"), encoding: .utf8)
    // As the card has it: documents separated by blank lines, each alone after a BOS, the EOS not scored.
    let documents = text.trimmingCharacters(in: .newlines).components(separatedBy: "\n\n")
    #expect(documents.count == 413)
    let tokenizer = try loadTokenizer(folder: Self.folder)
    let model = try DecoderModel.load(folder: Self.folder, precision: precision, stream: ComputeStream(threadCount: 2))
    var sum = 0.0
    var count = 0
    for document in documents {
      let nll = try model.negativeLogLikelihoods(of: try tokenizer.encode(document))
      sum += nll.reduce(0, +)
      count += nll.count
    }
    #expect(count == 74_567)
    let loss = sum / Double(count)
    #expect(abs(loss - card) <= 0.001 * card, "\(loss) nats a token, the card has \(card)")
  }

}

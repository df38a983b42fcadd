import Foundation
import Testing

/// The help is the command line's specification, so a change of it shall be seen in review.
/// `FOVEA_RECORD_SNAPSHOTS=1` writes the files anew.
@Suite struct HelpSnapshotTests {
  @Test(arguments: [
    [], ["generate"], ["tokenize"], ["inspect"], ["bench"], ["bench", "attention"], ["bench", "model"], ["perplexity"],
    ["score"], ["quantize"], ["chat"], ["embed"], ["embed", "texts"], ["embed", "search"], ["bench", "embed"],
    ["bench", "threads"], ["bench", "tokenizer"],
  ])
  func helpIsAsReviewed(command: [String]) throws {
    let output = try FoveaExecutable.run(command + ["--help"])
    #expect(output.status == 0 && output.errors.isEmpty)
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Snapshots/help-\(command.isEmpty ? "fovea" : command.joined(separator: "-")).txt")
    if ProcessInfo.processInfo.environment["FOVEA_RECORD_SNAPSHOTS"] == "1" {
      try Data(output.text.utf8).write(to: file)
    }
    #expect(try output.text == String(contentsOf: file, encoding: .utf8))
  }

  @Test func withoutASubcommandTheHelpIsShown() throws {
    let output = try FoveaExecutable.run([])
    #expect(output.status == 0)
    #expect(output.text.hasPrefix("OVERVIEW: Run language models on the CPU."))
  }
}

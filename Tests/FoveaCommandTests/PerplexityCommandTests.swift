import Foundation
import Testing

@Suite struct PerplexityCommandTests {
  /// The held-out text of the bundled model.
  private static let validation = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("FoveaModelsTests/Fixtures/storyteller-15m-validation.txt")

  /// Calls `body` with a folder that holds the beginning of the text as `text`.
  private func withText(byteCount: Int, _ body: (URL, String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let text = folder.appendingPathComponent("text")
      try Data(contentsOf: Self.validation).prefix(byteCount).write(to: text)
      try body(folder, text.path)
    }
  }

  /// What must not depend on how a run went.
  private func figures(_ report: [String: Any]) -> [String: Double] {
    var figures: [String: Double] = [:]
    for name in ["windows", "tokens", "perplexity", "standard_error", "loss_sum", "word_perplexity", "bits_per_byte"] {
      figures[name] = report[name] as? Double
    }
    return figures
  }

  /// Starts `arguments` again and again, killing it at random moments, until it was killed `killCount` times and came to
  /// its end after the last one; each time that it ends, `check` sees what it printed and begins anew.
  private func killRandomly(
    _ arguments: [String], killCount: Int, milliseconds: ClosedRange<Int>,
    check: (FoveaExecutable.Output) throws -> Void
  ) throws {
    var kills = 0
    while true {
      let (process, output, errors) = try FoveaExecutable.start(arguments)
      if kills < killCount {
        Thread.sleep(forTimeInterval: Double(Int.random(in: milliseconds)) / 1000)
        if process.isRunning {
          kill(process.processIdentifier, SIGKILL)
          kills += 1
        }
      }
      let text = try output.readToEnd() ?? Data()
      let errorText = try errors.readToEnd() ?? Data()
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal { continue }
      try check(
        FoveaExecutable.Output(
          status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
          errors: String(decoding: errorText, as: UTF8.self)))
      if kills >= killCount { return }
    }
  }

  @Test(arguments: [["rolling", "--context-length", "300"], ["streaming", "--max-cache-size", "100"]])
  func aRunKilledTwentyTimesEndsWithTheSameFigures(method: [String]) throws {
    try withText(byteCount: 40_000) { folder, text in
      let arguments = ["perplexity", text, "--method"] + method + ["--json"]
      let whole = folder.appendingPathComponent("whole")
      let expected = figures(try FoveaExecutable.json(arguments.dropLast() + ["--per-token", whole.path]))
      #expect(expected.count == 7)
      let (state, tokens) = (folder.appendingPathComponent("state"), folder.appendingPathComponent("tokens"))
      try killRandomly(
        arguments + ["--state", state.path, "--state-interval", "0", "--per-token", tokens.path], killCount: 20,
        milliseconds: 10...250
      ) { output in
        #expect(output.status == 0, "\(output.errors)")
        let report = try #require(try JSONSerialization.jsonObject(with: Data(output.text.utf8)) as? [String: Any])
        #expect(figures(report) == expected)
        #expect(try Data(contentsOf: tokens) == Data(contentsOf: whole))
        try FileManager.default.removeItem(at: state)
      }
    }
  }

  @Test func partsAddUpToTheSameTotalForAnyNumberOfThem() throws {
    try withText(byteCount: 20_000) { folder, text in
      let arguments = ["perplexity", text, "--context-length", "128"]
      let expected = figures(try FoveaExecutable.json(arguments))
      for count in [1, 3, 7] {
        let parts = (1...count).map { folder.appendingPathComponent("part-\($0)-\(count)").path }
        for (index, part) in parts.enumerated() {
          let output = try FoveaExecutable.run(arguments + ["--shard", "\(index + 1)/\(count)", "--state", part])
          #expect(output.status == 0, "\(output.errors)")
        }
        #expect(figures(try FoveaExecutable.json(["perplexity", "--merge"] + parts)) == expected)
        guard count > 1 else { continue }
        let lacking = try FoveaExecutable.run(["perplexity", "--merge"] + parts.dropLast())
        #expect(lacking.status == 65 && lacking.errors.contains("is the first one missing"), "\(lacking.errors)")
      }
    }
  }

  @Test func aPrecisionIsComparedWithAnother() throws {
    try withText(byteCount: 8000) { folder, text in
      let arguments = ["perplexity", text, "--context-length", "256"]
      let model = FoveaExecutable.bundledModel
      let direct = try FoveaExecutable.json(arguments + ["--compare", model, "--compare-precision", "float32"])
      let saved = folder.appendingPathComponent("saved").path
      _ = try FoveaExecutable.json(arguments + ["--precision", "float32", "--save-logits", saved])
      let fromFile = try FoveaExecutable.json(arguments + ["--compare", saved])
      for report in [direct, fromFile] {
        let comparison = try #require(report["comparison"] as? [String: Any])
        let divergence = try #require((comparison["divergence"] as? [String: Any])?["value"] as? Double)
        let agreement = try #require((comparison["agreement"] as? [String: Any])?["value"] as? Double)
        #expect(divergence > 1e-6 && divergence < 1e-3, "\(divergence)")
        #expect(agreement > 0.98 && agreement <= 1, "\(agreement)")
      }
      let itself = try FoveaExecutable.json(arguments + ["--compare", model])
      let comparison = try #require(itself["comparison"] as? [String: Any])
      #expect((comparison["agreement"] as? [String: Any])?["value"] as? Double == 1)
      #expect((comparison["perplexity_difference"] as? [String: Any])?["value"] as? Double == 0)
    }
  }

  @Test func documentsOfJSONLinesAreEvaluatedEachForItself() throws {
    try withTemporaryFolder { folder in
      let (lines, first, second) = (
        folder.appendingPathComponent("lines"), folder.appendingPathComponent("first"),
        folder.appendingPathComponent("second")
      )
      try Data("{\"body\": \"Once upon a time\"}\n\n{\"body\": \"The cat sat.\"}\n".utf8).write(to: lines)
      try Data("Once upon a time".utf8).write(to: first)
      try Data("The cat sat.".utf8).write(to: second)
      let rolling = ["--method", "rolling"]
      struct Report: Decodable {
        let lossSum: Double
        let bytes: Int?
        let words: Int?
      }
      let sums = try [first, second].map { file in
        try FoveaExecutable.decoded(Report.self, ["perplexity", file.path] + rolling).lossSum
      }
      let both = try FoveaExecutable.decoded(
        Report.self, ["perplexity", lines.path, "--jsonl", "--field", "body"] + rolling)
      #expect(both.lossSum == sums[0] + sums[1])
      #expect(both.bytes == 28 && both.words == 7)
      let wrong = try FoveaExecutable.run(["perplexity", lines.path, "--jsonl"] + rolling)
      #expect(wrong.status == 65 && wrong.errors.contains("line 1: \"text\" is not there"), "\(wrong.errors)")
    }
  }

  @Test func runsAreDrawnInOnePlot() throws {
    try withText(byteCount: 8000) { folder, text in
      let (tokens, state, plot) = (
        folder.appendingPathComponent("tokens").path, folder.appendingPathComponent("state").path,
        folder.appendingPathComponent("plot.svg").path
      )
      let short = ["perplexity", text, "--method", "strided", "--context-length", "32"]
      _ = try FoveaExecutable.json(short + ["--per-token", tokens])
      _ = try FoveaExecutable.json(
        [
          "perplexity", text, "--context-length", "64", "--state", state, "--plot", plot, "--plot-name", "chunks",
          "--curve", "windows of 32=\(tokens)",
        ])
      let image = try String(contentsOfFile: plot, encoding: .utf8)
      #expect(image.hasPrefix("<svg ") && image.contains(">chunks: ") && image.contains(">windows of 32: "))
      // Of what earlier runs left the same picture comes.
      let again = try FoveaExecutable.run(
        ["perplexity", "--plot", plot, "--curve", "chunks=\(state)", "--curve", "windows of 32=\(tokens)"])
      #expect(again.status == 0 && again.text.isEmpty, "\(again.errors)")
      #expect(try String(contentsOfFile: plot, encoding: .utf8) == image)
      let merged = try FoveaExecutable.run(
        ["perplexity", "--merge", state, "--plot", plot, "--plot-name", "chunks", "--curve", "windows of 32=\(tokens)"])
      #expect(merged.status == 0, "\(merged.errors)")
      #expect(try String(contentsOfFile: plot, encoding: .utf8) == image)
    }
  }

  static let errors: [(Int32, [String], String)] = [
    (64, [], "give a text to evaluate"), (64, ["x", "--method", "chunky"], "--method"),
    (64, ["x", "--shard", "1/2"], "--shard needs --state"), (64, ["x", "--shard", "3/2", "--state", "s"], "--shard"),
    (64, ["x", "--chunks", "0"], "--chunks"), (64, ["x", "--state-interval", "-1"], "--state-interval"),
    (64, ["x", "--merge", "s"], "--merge"), (64, ["x", "--compare", "b", "--state", "s"], "--state"),
    (64, ["x", "--curve", "a=b"], "--plot"), (64, ["x", "--plot", "p", "--curve", "b"], "--curve"),
    (64, ["x", "--plot", "p", "--plot-stretch", "0"], "--plot-stretch"),
    (64, ["x", "--plot", "/no/such/folder/p.svg"], "/no/such/folder/p.svg"),
    (66, ["--plot", "/tmp/p.svg", "--curve", "a=/no/such/curve"], "/no/such/curve"),
    (66, ["/no/such/text"], "/no/such/text"), (66, ["--merge", "/no/such/state"], "/no/such/state"),
    (66, [validation.path, "--chunks", "1", "--compare", "/no/such/base"], "/no/such/base"),
    (65, ["-"], "too few for the method chunked"),
    (64, ["-", "--context-length", "2000"], "the context length is 2000"),
    (64, ["-", "--method", "rolling", "--stride", "3"], "a stride goes with the method strided only"),
    (64, ["-", "--sink-tokens", "4"], "--method streaming"),
    (64, ["-", "--method", "streaming", "--context-length", "64"], "give the size of its cache instead"),
    (64, ["-", "--method", "streaming", "--max-cache-size", "1025"], "1025"),
    (64, ["x", "--method", "streaming", "--cache", "round"], "--cache"),
  ]

  @Test(arguments: errors)
  func anErrorIsOneLineThatNamesTheCulprit(status: Int32, arguments: [String], culprit: String) throws {
    let output = try FoveaExecutable.run(["perplexity"] + arguments)
    #expect(output.status == status, "\(arguments): \(output.errors)")
    #expect(output.text.isEmpty && output.errors.split(separator: "\n").count == 1)
    #expect(output.errors.hasPrefix("fovea: ") && output.errors.contains(culprit), "\(output.errors)")
  }
}

import Foundation
import Testing

/// `--cache`, `--save-cache` and `--load-cache` of `fovea generate`.
@Suite(.serialized) struct GenerateCacheTests {
  private static let story = "Once upon a time there was a little girl who had a red ball. She liked to play"

  private func evaluatedCount(_ object: [String: Any]) throws -> Int {
    try #require(object["evaluated_prompt_token_count"] as? Int)
  }

  @Test func aSavedPromptCostsNoPrefillAndChangesNothing() throws {
    try withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("story.cache").path
      let options = ["--max-tokens", "12", "--temperature", "0"]
      for cache in [
        [], ["--cache", "streaming", "--max-cache-size", "16"], ["--cache", "rotating", "--max-cache-size", "17"],
      ] {
        let prompt = ["generate", Self.story]
        let expected = try FoveaExecutable.json(prompt + options + cache)
        let promptCount = try #require(expected["prompt_tokens"] as? [Int]).count
        #expect(try evaluatedCount(expected) == promptCount)
        let saved = try FoveaExecutable.json(prompt + cache + ["--max-tokens", "0", "--save-cache", path])
        #expect(try evaluatedCount(saved) == promptCount && (saved["tokens"] as? [Any])?.count == 0)

        let same = try FoveaExecutable.json(prompt + options + ["--load-cache", path])
        #expect(try evaluatedCount(same) == 1 && same["text"] as? String == expected["text"] as? String, "\(cache)")
        let longer = ["generate", Self.story + " with it all day"]
        let grown = try FoveaExecutable.json(longer + options + cache + ["--load-cache", path])
        let grownCount = try #require(grown["prompt_tokens"] as? [Int]).count - promptCount
        #expect(try (1...grownCount + 1).contains(evaluatedCount(grown)))
        #expect(try grown["text"] as? String == FoveaExecutable.json(longer + options + cache)["text"] as? String)
        // Another end: the part in common is kept.
        let other = ["generate", Self.story.replacingOccurrences(of: "play", with: "sing")]
        let changed = try FoveaExecutable.json(other + options + cache + ["--load-cache", path])
        #expect(try (1...4).contains(evaluatedCount(changed)))
        #expect(try changed["text"] as? String == FoveaExecutable.json(other + options + cache)["text"] as? String)
      }
      let verbose = try FoveaExecutable.run(
        ["generate", Self.story, "--max-tokens", "3", "--load-cache", path, "--verbose"])
      #expect(verbose.errors.contains("1 of them evaluated"))
    }
  }

  @Test func aBoundedCacheGoesOnBeyondTheContext() throws {
    let options = ["--ignore-eos", "--cache", "streaming", "--max-cache-size", "64", "--seed", "1"]
    let context = try #require(
      FoveaExecutable.json(["inspect"])["context_length"] as? Int, "inspect names no context_length")
    let object = try FoveaExecutable.json(
      ["generate", Self.story, "--max-tokens", String(context + 100)] + options)
    #expect((object["tokens"] as? [Any])?.count == context + 100)
    // A prompt longer than the context, too.
    let tokens = (0..<(context + 50)).map { String(3 + $0 % 200) }.joined(separator: ",")
    let long = try FoveaExecutable.json(["generate", "--prompt-tokens", tokens, "--max-tokens", "5"] + options)
    #expect((long["tokens"] as? [Any])?.count == 5)
    #expect(try FoveaExecutable.run(["generate", "--prompt-tokens", tokens]).status == 64)
  }

  @Test func anUnlimitedTextGoesOnUntilItIsInterrupted() throws {
    let (process, output, _) = try FoveaExecutable.start(
      ["generate", Self.story, "--max-tokens", "unlimited", "--ignore-eos", "--cache", "rotating"])
    var count = 0
    // More than the context's characters.
    while count < 6000, let data = try output.read(upToCount: 4096) { count += data.count }
    process.interrupt()
    _ = try output.readToEnd()
    process.waitUntilExit()
    #expect(count >= 6000 && process.terminationStatus == 130)
  }

  @Test func whatCannotBeIsRefused() throws {
    try withTemporaryFolder { folder in
      func refuses(_ arguments: [String], _ status: Int32, _ text: String) throws {
        let output = try FoveaExecutable.run(["generate", Self.story, "--max-tokens", "1"] + arguments)
        #expect(output.status == status && output.errors.contains(text), "\(arguments): \(output.errors)")
        #expect(output.errors.split(separator: "\n").count == 1)
      }
      try refuses(["--max-cache-size", "9"], 64, "--max-cache-size needs --cache")
      try refuses(["--sink-tokens", "9"], 64, "--sink-tokens needs --cache")
      try refuses(["--cache", "streaming", "--max-cache-size", "100000"], 64, "expected 1 to the model's context")
      try refuses(["--cache", "streaming", "--max-cache-size", "4"], 64, "expected to keep 0 to 3")
      try refuses(["--save-cache", folder.path + "/none/x"], 64, "--save-cache")
      let path = folder.appendingPathComponent("a").path
      try refuses(["--load-cache", path], 66, path)
      #expect(try FoveaExecutable.run(["generate", "x", "--max-tokens", "1", "--save-cache", path]).status == 0)
      try refuses(["--load-cache", path, "--cache", "streaming"], 64, "holds a contiguous cache")
      try refuses(["--load-cache", path, "--precision", "float32"], 65, "precision")
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      bytes[bytes.count / 2] ^= 4
      try bytes.write(to: URL(fileURLWithPath: path))
      try refuses(["--load-cache", path], 65, "checksum")
      try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
      try refuses(["--load-cache", path], 65, path)
      try refuses(
        ["--load-cache", FoveaExecutable.bundledModel + "/model-00001-of-00002.safetensors"], 65, "is no saved cache")
    }
  }

  @Test func aKillWhileTheFileIsWrittenLeavesTheOldOrTheNewOne() throws {
    try withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("story.cache").path
      let old = (0..<300).map { String(3 + $0 % 200) }.joined(separator: ",")
      let new = (0..<400).map { String(9 + $0 % 150) }.joined(separator: ",")
      func save(_ tokens: String) -> [String] {
        ["generate", "--prompt-tokens", tokens, "--max-tokens", "0", "--save-cache", path]
      }
      #expect(try FoveaExecutable.run(save(old)).status == 0)
      var killed = 0
      for round in 0..<6 {
        let (process, output, _) = try FoveaExecutable.start(save(round % 2 == 0 ? new : old))
        // The temporary file appears when writing begins.
        while process.isRunning, try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1 {}
        usleep(UInt32(round) * 1500)
        kill(process.processIdentifier, SIGKILL)
        _ = try output.readToEnd()
        process.waitUntilExit()
        if process.terminationReason == .uncaughtSignal { killed += 1 }
        let counts = try [old, new].map { tokens in
          try evaluatedCount(
            FoveaExecutable.json(["generate", "--prompt-tokens", tokens, "--max-tokens", "1", "--load-cache", path]))
        }
        #expect(counts.contains(1), "\(counts) tokens evaluated after round \(round)")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".partial") {
          try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
      }
      #expect(killed > 0)
    }
  }
}

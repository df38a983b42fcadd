import Foundation
import Testing

/// `--cache-type`, `--cache-bits` and `--cache-group-size`.
@Suite struct CacheFormatTests {
  /// Two windows of 512 ids.
  private let ids = (0..<1024).map { String(3 + $0 * 7919 % 500) }.joined(separator: ",")

  private func perplexity(_ options: [String]) throws -> Double {
    try withTemporaryFolder { folder in
      let file = folder.appendingPathComponent("ids.txt")
      try Data(ids.utf8).write(to: file)
      let object = try FoveaExecutable.json(["perplexity", "--tokens", file.path] + options)
      return try #require(object["perplexity"] as? Double)
    }
  }

  @Test("codes and types of the cache change a perplexity little, and by as much as their bits say")
  func perplexity() throws {
    let full = try perplexity([])
    for (options, limit) in [
      (["--cache-bits", "8"], 2e-3), (["--cache-bits", "8", "--cache-group-size", "64"], 2e-3),
      (["--cache-bits", "4"], 3e-2), (["--cache-type", "float32"], 2e-3), (["--cache-type", "float16"], 2e-3),
    ] {
      let other = try perplexity(options)
      #expect(other != full && abs(other / full - 1) <= limit, "\(options): \(other), full \(full)")
    }
  }

  @Test("generation takes the options, and a short text has nothing in codes yet")
  func generation() throws {
    let command = ["generate", "Once upon a time", "--max-tokens", "12", "--temperature", "0"]
    let coded = try FoveaExecutable.run(command + ["--cache-bits", "4", "--cache-group-size", "64"])
    #expect(coded.status == 0)
    #expect(try FoveaExecutable.run(command).text == coded.text)
  }

  @Test("numbers that there are not are refused in one line")
  func refusals() throws {
    for (options, message) in [
      (["--cache-bits", "5"], "a cache of 5 bits: expected 8 or 4"),
      (["--cache-bits", "8", "--cache-group-size", "48"], "a cache with groups of 48: expected 32 or 64"),
      (["--cache-group-size", "32"], "--cache-group-size needs --cache-bits"),
    ] {
      let output = try FoveaExecutable.run(["generate", "x"] + options)
      #expect(output.status == 64 && output.errors.contains(message), "\(output.errors)")
    }
  }
}

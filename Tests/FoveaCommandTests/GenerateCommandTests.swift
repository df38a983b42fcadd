import Foundation
import Testing

@Suite(.serialized) struct GenerateCommandTests {
  static let opening = "Once upon a time"

  @Test func textGoesToStandardOutputAndEndsWithALineBreak() throws {
    let output = try FoveaExecutable.run(
      ["generate", GenerateCommandTests.opening, "--max-tokens", "20", "--temperature", "0"])
    #expect(output.status == 0)
    #expect(output.text.count > 10 && output.text.hasSuffix("\n"))
    #expect(output.errors.isEmpty)
  }

  @Test func promptFromArgumentFileInputAndTokensGiveTheSame() throws {
    let options = ["--max-tokens", "12", "--temperature", "0"]
    let reference = try FoveaExecutable.json(["generate", GenerateCommandTests.opening] + options)
    let tokens = try #require(reference["prompt_tokens"] as? [Int]).map(String.init).joined(separator: ",")
    let text = try FoveaExecutable.run(["generate", GenerateCommandTests.opening] + options).text
    try withTemporaryFolder { folder in
      let file = folder.appendingPathComponent("prompt.txt")
      try Data((GenerateCommandTests.opening + "\n").utf8).write(to: file)
      #expect(try FoveaExecutable.run(["generate", "--file", file.path] + options).text == text)
    }
    let fromInput = try FoveaExecutable.run(["generate", "-"] + options, input: GenerateCommandTests.opening + "\n")
    #expect(fromInput.text == text)
    #expect(try FoveaExecutable.run(["generate", "--prompt-tokens", tokens] + options).text == text)
  }

  @Test func jsonHoldsTextTokensReasonAndTimings() throws {
    let object = try FoveaExecutable.json(
      ["generate", GenerateCommandTests.opening, "--max-tokens", "5", "--seed", "7", "--threads", "1"])
    #expect(object["finish_reason"] as? String == "length")
    #expect(object["seed"] as? Int == 7)
    #expect(object["threads"] as? Int == 1)
    let tokens = try #require(object["tokens"] as? [[String: Any]])
    #expect(tokens.count == 5)
    for token in tokens {
      let logProbability = try #require(token["log_probability"] as? Double)
      #expect(logProbability <= 1e-6 && logProbability > -50)
    }
    let timings = try #require(object["timings"] as? [String: Any])
    for key in ["load", "prompt", "first_token", "generation"] { #expect(timings[key] is Double, "\(key)") }
    let plain = try FoveaExecutable.run(
      ["generate", GenerateCommandTests.opening, "--max-tokens", "5", "--seed", "7", "--threads", "1"])
    #expect(plain.text == (object["text"] as? String ?? "") + "\n")
  }

  @Test func aSeedGivesTheSameTextForAnyThreadCount() throws {
    let texts = try ["1", "2", "3"].map { threads in
      try FoveaExecutable.run(
        ["generate", GenerateCommandTests.opening, "--max-tokens", "40", "--seed", "3", "--temperature", "1"]
          + ["--threads", threads]
      ).text
    }
    #expect(Set(texts).count == 1)
  }

  @Test func echoPutsThePromptInFront() throws {
    let options = ["generate", GenerateCommandTests.opening, "--max-tokens", "8", "--temperature", "0"]
    let text = try FoveaExecutable.run(options).text
    #expect(try FoveaExecutable.run(options + ["--echo"]).text == GenerateCommandTests.opening + text)
  }

  @Test func aStopStringIsNotWritten() throws {
    let options = ["generate", GenerateCommandTests.opening, "--max-tokens", "60", "--temperature", "0"]
    let text = try FoveaExecutable.run(options).text
    let middle = text.index(text.startIndex, offsetBy: text.count / 2)
    let stop = String(text[middle...].prefix(3))
    let stopped = try FoveaExecutable.json(options + ["--stop", stop, "--stop", "never to be seen"])
    let written = try #require(stopped["text"] as? String)
    #expect(stopped["finish_reason"] as? String == "stop_string")
    #expect(text.hasPrefix(written) && !written.contains(stop))
  }

  @Test func verboseTellsOnStandardError() throws {
    let output = try FoveaExecutable.run(["generate", "x", "--max-tokens", "3", "--verbose"])
    for name in ["model", "compute", "load", "prompt", "first token", "generation", "peak memory"] {
      #expect(output.errors.split(separator: "\n").contains { $0.hasPrefix(name) }, "\(name)")
    }
  }

  @Test func interruptEndsTheTextWithALineBreak() throws {
    let (process, output, errors) = try FoveaExecutable.start(
      ["generate", GenerateCommandTests.opening, "--max-tokens", "1000", "--ignore-eos"])
    let first = try #require(try output.read(upToCount: 1))
    process.interrupt()
    let rest = try output.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 130)
    #expect((first + rest).last == UInt8(ascii: "\n"))
    #expect(try errors.readToEnd() ?? Data() == Data())
  }

  @Test func aClosedPipeEndsQuietly() throws {
    let (process, output, errors) = try FoveaExecutable.start(
      ["generate", GenerateCommandTests.opening, "--max-tokens", "1000", "--ignore-eos"])
    _ = try output.read(upToCount: 1)
    try output.close()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 0)
    #expect(try errors.readToEnd() ?? Data() == Data())
  }
}

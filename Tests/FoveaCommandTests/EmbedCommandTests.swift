import Foundation
import Testing

@Suite struct EmbedCommandTests {
  private func objects(_ arguments: [String], input: String? = nil) throws -> [[String: Any]] {
    let output = try FoveaExecutable.run(["embed"] + arguments, input: input)
    #expect(output.status == 0, "\(output.errors)")
    return try output.text.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private func vector(_ object: [String: Any]) throws -> [Double] { try #require(object["embedding"] as? [Double]) }

  @Test func argumentsLinesAndObjectsGiveTheSameVectors() throws {
    let texts = ["Once upon a time", "The cat sat."]
    let arguments = try objects(texts)
    #expect(arguments.map { $0["index"] as? Int } == [0, 1])
    #expect(arguments.map { $0["tokens"] as? Int } == [5, 5])
    #expect(try vector(arguments[0]).count == 384)
    let lines = try objects([], input: texts.joined(separator: "\r\n") + "\n")
    let jsonl = try objects(
      ["--jsonl"], input: "{\"text\": \"Once upon a time\", \"id\": \"a\"}\n\n{\"text\": \"The cat sat.\", \"id\": 7}\n"
    )
    for index in 0..<2 {
      #expect(try vector(lines[index]) == vector(arguments[index]))
      #expect(try vector(jsonl[index]) == vector(arguments[index]))
    }
    #expect(jsonl.map { $0["id"] as? String } == ["a", "7"])
    #expect(arguments.allSatisfy { $0["token_ids"] == nil })
    let tokens = try objects(texts + ["--token-ids"]).map { try #require($0["token_ids"] as? [Int]) }
    #expect(tokens[0] == [1, 639, 773, 260, 491] && tokens[1].count == 5)
  }

  @Test func optionsChangeTheVectors() throws {
    let plain = try vector(objects(["a cat"])[0])
    let normed = try vector(objects(["a cat", "--normalize", "--dimensions", "5"])[0])
    #expect(normed.count == 5)
    #expect(abs(normed.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
    #expect(abs(normed[0] / normed[1] - plain[0] / plain[1]) < 1e-4 * abs(plain[0] / plain[1]))
    #expect(try vector(objects(["cat", "--prompt", "a "])[0]) == plain)
    #expect(try vector(objects(["a cat", "--pooling", "cls,lasttoken"])[0]).count == 768)
  }

  @Test func aMatrixGoesOnWhereItsStateEndsAndIsSearched() throws {
    try withTemporaryFolder { folder in
      let path = { (name: String) in folder.appendingPathComponent(name).path }
      let lines = (0..<5000).map { "The \($0) cats" }
      try lines.joined(separator: "\n").write(toFile: path("lines"), atomically: true, encoding: .utf8)
      let arguments = ["embed", "--file", path("lines"), "--format", "npy", "--batch-tokens", "4096"]
      let whole = try FoveaExecutable.run(arguments + ["--output", path("whole.npy")])
      #expect(whole.status == 0, "\(whole.errors)")
      let expected = try Data(contentsOf: URL(fileURLWithPath: path("whole.npy")))
      #expect(expected.count == 128 + 5000 * 384 * 4)

      // Killed at any moment.
      let stateful = arguments + ["--output", path("part.npy"), "--state", path("state")]
      let (process, _, _) = try FoveaExecutable.start(stateful)
      while process.isRunning, !FileManager.default.fileExists(atPath: path("state")) { usleep(1000) }
      process.terminate()
      process.waitUntilExit()
      #expect(!FileManager.default.fileExists(atPath: path("part.npy")) || process.terminationStatus == 0)
      for _ in 0..<2 {
        let rest = try FoveaExecutable.run(stateful)
        #expect(rest.status == 0, "\(rest.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path("part.npy"))) == expected)
      }
      let other = try FoveaExecutable.run(stateful + ["--dimensions", "3"])
      #expect(other.status == 65)
      #expect(other.errors.contains("is the state of another job: dimensions was not set, now it is 3"))

      var joined = Data()
      for shard in ["1/3", "2/3", "3/3"] {
        let part = try FoveaExecutable.run(arguments + ["--output", path("shard.npy"), "--shard", shard])
        #expect(part.status == 0, "\(part.errors)")
        joined += try Data(contentsOf: URL(fileURLWithPath: path("shard.npy"))).dropFirst(128)
      }
      #expect(joined == expected.dropFirst(128))

      let found = try FoveaExecutable.run(
        ["embed", "search", "--index", path("whole.npy"), "--texts", path("lines"), "--top-k", "2", "The 417 cats"])
      #expect(found.status == 0, "\(found.errors)")
      #expect(found.text.hasPrefix("1.0000\t418\tThe 417 cats\n"))
      #expect(found.text.split(separator: "\n").count == 2)
    }
  }

  @Test func base64HoldsTheSameFloats() throws {
    let lines = try FoveaExecutable.run(["embed", "--format", "base64", "a cat", "Tom"]).text.split(separator: "\n")
    let expected = try objects(["a cat", "Tom"]).map(vector)
    #expect(lines.count == 2)
    for (line, expected) in zip(lines, expected) {
      let bytes = [UInt8](try #require(Data(base64Encoded: String(line))))
      let floats = stride(from: 0, to: bytes.count, by: 4).map { index in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[index + $1]) << (8 * UInt32($1)) })
      }
      #expect(floats == expected.map { Float($0) })
    }
  }

  @Test func theStateOfOtherTextsIsRefused() throws {
    try withTemporaryFolder { folder in
      let path = { (name: String) in folder.appendingPathComponent(name).path }
      let arguments = ["embed", "--file", path("lines"), "--output", path("out"), "--state", path("state")]
      try "a\nb\n".write(toFile: path("lines"), atomically: true, encoding: .utf8)
      #expect(try FoveaExecutable.run(arguments).status == 0)
      let vectors = try Data(contentsOf: URL(fileURLWithPath: path("out")))
      try "a\nc\n".write(toFile: path("lines"), atomically: true, encoding: .utf8)
      let other = try FoveaExecutable.run(arguments)
      #expect(other.status == 65 && other.errors.contains("is the state of another job: texts was"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: path("out"))) == vectors)
    }
  }

  @Test func similarityIsAMatrix() throws {
    let output = try FoveaExecutable.run(["embed", "--similarity", "a cat", "a cat", "Tom"])
    let rows = output.text.split(separator: "\n").map { $0.split(separator: " ").compactMap { Double($0) } }
    #expect(rows.map(\.count) == [3, 3, 3])
    #expect(rows[0][1] == 1 && rows[1][0] == 1)
    #expect(rows[0][2] < 0.99)
  }

  @Test func wrongInputIsNamed() throws {
    let cases: [([String], String?, Int32, String)] = [
      (["--format", "npy", "x"], nil, 64, "--output"), (["--state", "s", "x"], nil, 64, "--output"),
      (["--prompt-name", "query", "x"], nil, 64, "no prompt 'query'"),
      (["--dimensions", "1000", "x"], nil, 64, "expected 1 to 384"),
      (["--pooling", "median", "x"], nil, 64, "median"),
      (["--jsonl"], "{\"txt\": 1}\n", 65, "line 1: \"text\""), (["--file", "/nowhere"], nil, 66, "/nowhere"),
      (["--file", "-", "x"], nil, 64, "not both"), (["--token-ids", "--format", "base64", "x"], nil, 64, "jsonl"),
      (["--no-truncate"], String(repeating: "cat ", count: 2000) + "\n", 65, "text 1 has"),
      (["search", "--index", "/nowhere", "x"], nil, 66, "/nowhere"),
    ]
    for (arguments, input, status, text) in cases {
      let output = try FoveaExecutable.run(["embed"] + arguments, input: input)
      #expect(output.status == status, "\(arguments)")
      #expect(output.errors.contains(text), "\(arguments): \(output.errors)")
      #expect(output.errors.split(separator: "\n").count == 1)
    }
  }
}

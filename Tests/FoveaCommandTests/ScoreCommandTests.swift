import Foundation
import Testing

@Suite struct ScoreCommandTests {
  private func score(_ lines: [String], _ options: [String] = []) throws -> [[String: Any]] {
    let output = try FoveaExecutable.run(
      ["score", "-"] + options, input: lines.map { $0 + "\n" }.joined())
    #expect(output.status == 0, "\(output.errors)")
    return try output.text.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }

  @Test func everyRequestHasItsAnswerInTheSameOrder() throws {
    let lines = [
      #"{"id": "a", "context": "Once upon a", "continuation": " time"}"#,
      #"{"id": 7, "context": "Once upon a", "continuation": " car"}"#,
      #"{"context": "Once upon a ", "continuation": "time"}"#,
      #"{"text": "Once upon a time"}"#,
      #"{"context": "Once upon a", "choices": ["car", "time", "moon"], "delimiter": " "}"#,
    ]
    let answers = try score(lines, ["--precision", "float32"])
    #expect(answers.count == 5)
    #expect(answers[0]["id"] as? String == "a" && answers[1]["id"] as? String == "7")
    let (time, car) = (try #require(answers[0]["sum"] as? Double), try #require(answers[1]["sum"] as? Double))
    #expect(time > car && time < 0)
    #expect(answers[0]["is_greedy"] as? Bool == true && answers[1]["is_greedy"] as? Bool == false)
    #expect((answers[0]["log_probabilities"] as? [Double])?.reduce(0, +) == time)
    // White space at the end of a context moves to the continuation.
    #expect(answers[2]["sum"] as? Double == time)
    #expect(answers[3]["bytes"] as? Int == 16 && answers[3]["words"] as? Int == 4)
    #expect(answers[4]["pick"] as? Int == 1)
    let choices = try #require(answers[4]["choices"] as? [[String: Any]])
    #expect(choices[0]["sum"] as? Double == car && choices[1]["sum"] as? Double == time)
    // Whatever is taken together, the answers are the same bits.
    let alone = try score(lines, ["--precision", "float32", "--batch", "1", "--threads", "1"])
    #expect(alone.map { $0["sum"] as? Double } == answers.map { $0["sum"] as? Double })
  }

  @Test(arguments: [
    ("x", "line 1"), (#"{"context": "a"}"#, "line 1: expected context and continuation"),
    (#"{"context": "a", "choices": "b"}"#, "\"choices\" is no list of strings"),
    (#"{"context_tokens": [1], "continuation_tokens": ["a"]}"#, "expected a token id"),
    (#"{"context": 5, "continuation": "b"}"#, "\"context\" is not there or no string"),
  ])
  func aBadRequestIsNamedByItsLine(line: String, message: String) throws {
    let output = try FoveaExecutable.run(["score", "-"], input: line + "\n")
    #expect(output.status == 65 && output.text.isEmpty, "\(output.errors)")
    #expect(output.errors.split(separator: "\n").count == 1 && output.errors.contains(message), "\(output.errors)")
  }

  @Test func aTokenOutsideTheVocabularyIsAnError() throws {
    let output = try FoveaExecutable.run(
      ["score", "-"], input: #"{"context_tokens": [1], "continuation_tokens": [8192]}"# + "\n")
    #expect(output.status == 64 && output.errors.contains("8192"), "\(output.errors)")
  }
}

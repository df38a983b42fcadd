import Fovea
import Testing

@Suite struct StopMatcherTests {
  @Test func findsAStopStringAcrossPieces() throws {
    var matcher = try StopMatcher(stopStrings: ["\n\nQ:"])
    #expect(matcher.append("A: yes\n") == .init(text: "A: yes", stopString: nil))
    #expect(matcher.append("\n") == .init(text: "", stopString: nil))
    #expect(matcher.append("Q") == .init(text: "", stopString: nil))
    #expect(matcher.append(": no") == .init(text: "", stopString: "\n\nQ:"))
    #expect(matcher.append("more") == .init(text: "", stopString: nil))
    #expect(matcher.finish() == "")
  }

  @Test func releasesWhatTurnsOutToBeNone() throws {
    var matcher = try StopMatcher(stopStrings: ["aab"])
    #expect(matcher.append("aa").text == "")
    #expect(matcher.append("a").text == "a")
    #expect(matcher.append("c").text == "aac")
    #expect(matcher.append("a").text == "")
    #expect(matcher.finish() == "a")
  }

  @Test func takesTheLongestOfThoseThatEndTogether() throws {
    var matcher = try StopMatcher(stopStrings: ["b", "ab"])
    #expect(matcher.append("xab") == .init(text: "x", stopString: "ab"))
  }

  @Test func withoutStopStringsEverythingPasses() throws {
    var matcher = try StopMatcher(stopStrings: [])
    #expect(matcher.append("text") == .init(text: "text", stopString: nil))
  }

  @Test func anEmptyStopStringIsRefused() {
    #expect(throws: GenerationError.self) { try StopMatcher(stopStrings: ["a", ""]) }
  }

  @Test func isIndependentOfTheCutsAndEqualsASearch() throws {
    var random = RandomGenerator(seed: 5)
    var alphabet = ["a", "b", "é", "🙂"]
    func randomText(_ count: ClosedRange<Int>) -> [String] {
      (0..<Int.random(in: count, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" }
    }
    for round in 0..<6000 {
      // Two letters, longer stop strings, and texts of their beginnings give matches that begin within matches.
      alphabet = round % 2 == 0 ? ["a", "b", "é", "🙂"] : ["a", "b"]
      let longest = round % 2 == 0 ? 4 : 8
      let stops = (0..<Int.random(in: 1...3, using: &random)).map { _ in randomText(1...longest).joined() }
      var letters = randomText(0...20)
      if round % 2 == 1 {
        letters = (0..<6).flatMap { _ in
          let stop = (stops.randomElement(using: &random) ?? "").map(String.init)
          return Array(stop.prefix(Int.random(in: 0...stop.count, using: &random)))
        }
      }
      let text = letters.joined()
      var matcher = try StopMatcher(stopStrings: stops)
      var output = ""
      var found: String?
      var rest = letters[...]
      while !rest.isEmpty, found == nil {
        let count = Int.random(in: 0...3, using: &random)
        let result = matcher.append(rest.prefix(count).joined())
        rest = rest.dropFirst(count)
        output += result.text
        found = result.stopString
      }
      output += matcher.finish()
      let expected = search(text, stops)
      #expect(output == expected.text && found == expected.stop, "round \(round): \(stops) in \(text)")
    }
  }

  /// The text before the stop string that ends first, the longest of those.
  private func search(_ text: String, _ stops: [String]) -> (text: String, stop: String?) {
    let bytes = Array(text.utf8)
    for end in 0...bytes.count {
      let matches = stops.filter { bytes[..<end].reversed().starts(with: $0.utf8.reversed()) }
      if let stop = matches.max(by: { $0.utf8.count < $1.utf8.count }) {
        return (String(decoding: bytes[..<(end - stop.utf8.count)], as: UTF8.self), stop)
      }
    }
    return (text, nil)
  }
}

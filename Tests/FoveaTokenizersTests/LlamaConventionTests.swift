import FoveaTokenizers
import Testing

@Suite struct LlamaConventionTests {
  /// One line of `llama.jsonl`: texts and the ids of transformers' LlamaTokenizer with a configuration.
  struct Answers: Decodable {
    let model: String
    let configuration: String
    let texts: [String]
    let ids: [[Int]]
  }

  @Test func idsEqualThoseOfLlamaTokenizer() throws {
    let lines = try Fixtures.lines(Answers.self, "llama.jsonl")
    #expect(lines.count == 18)
    for line in lines {
      let files = [
        "tokenizer.model": try Fixtures.modelBytes(line.model), "tokenizer_config.json": Array(line.configuration.utf8),
      ]
      let tokenizer = try Fixtures.withFolder(files, loadTokenizer)
      for (text, expected) in zip(line.texts, line.ids) {
        #expect(
          try tokenizer.encode(text) == expected,
          "\(line.model), \(line.configuration), \(String(reflecting: text))")
      }
    }
  }
}

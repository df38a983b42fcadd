import Foundation
import FoveaTokenizers
import Testing

/// The small `tokenizer.json` files and what the package tokenizers answers for them.
enum JSONFixtures {
  static let names = [
    "gpt2", "llama3", "qwen2", "digits", "byte-fallback", "metaspace-first", "word-suffix", "prefix", "bert", "unigram",
  ]

  struct Answers: Decodable {
    let ids: [[Int]]
    let decoded: [String]
    /// The texts with their special tokens, for the first of them.
    let kept: [String]
    /// A text that is to be repeated, with the count and the hash of the ids.
    let repeated: String
    let times: Int
    let count: Int
    let hash: String
  }

  static func texts() throws -> [String] {
    try JSONDecoder().decode([String].self, from: Data(Fixtures.bytes(Fixtures.path("json/texts.json"))))
  }

  static func answers(_ name: String) throws -> Answers {
    try JSONDecoder().decode(Answers.self, from: Data(Fixtures.bytes(Fixtures.path("json/\(name).answers.json"))))
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    try Fixtures.bytes(Fixtures.path("json/\(name).tokenizer.json"))
  }

  /// The tokenizer with these files beside it.
  static func tokenizer(_ name: String, _ files: [String: String] = [:]) throws -> any Tokenizer {
    var contents = files.mapValues { Array($0.utf8) }
    contents["tokenizer.json"] = try bytes(name)
    return try Fixtures.withFolder(contents, loadTokenizer)
  }
}

@Suite struct PieceTokenizerTests {
  @Test(arguments: JSONFixtures.names)
  func idsAndTextsEqualTheReferences(name: String) throws {
    let tokenizer = try JSONFixtures.tokenizer(name)
    let texts = try JSONFixtures.texts()
    let answers = try JSONFixtures.answers(name)
    #expect(texts.count >= 140)
    #expect(answers.ids.count == texts.count)
    for (index, text) in texts.enumerated() {
      let shown = "\(name), \(String(reflecting: text))"
      #expect(try tokenizer.encode(text) == answers.ids[index], "\(shown)")
      #expect(Array(try tokenizer.decode(answers.ids[index]).utf8) == Array(answers.decoded[index].utf8), "\(shown)")
      guard index < answers.kept.count else { continue }
      let kept = try tokenizer.decode(answers.ids[index], skipSpecialTokens: false)
      #expect(Array(kept.utf8) == Array(answers.kept[index].utf8), "\(shown)")
    }
  }

  @Test(arguments: JSONFixtures.names)
  func aMegabyteGivesTheReferencesIds(name: String) throws {
    let answers = try JSONFixtures.answers(name)
    let ids = try JSONFixtures.tokenizer(name).encode(String(repeating: answers.repeated, count: answers.times))
    #expect(ids.count == answers.count)
    #expect(String(Fixtures.hash(of: ids)) == answers.hash)
  }

  @Test func specialTokensAreReadOnlyWhereAsked() throws {
    let tokenizer = try JSONFixtures.tokenizer("llama3")
    let end = try #require(tokenizer.token(forPiece: "<|end|>"))
    #expect(try tokenizer.encode("a<|end|>", addSpecialTokens: false).last == end)
    #expect(try !tokenizer.encode("a<|end|>", addSpecialTokens: false, parseSpecialTokens: false).contains(end))
    #expect(tokenizer.isSpecial(end))
    #expect(tokenizer.specialTokens == [0, 1, end])
    // Other added tokens are text.
    let gpt2 = try JSONFixtures.tokenizer("gpt2")
    let plain = try #require(gpt2.token(forPiece: "<plain>"))
    #expect(try gpt2.encode("a<plain>", parseSpecialTokens: false).contains(plain))
  }

  @Test func theConfigurationGivesRolesAndTheTokensAround() throws {
    let roles = #""bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": "<|end|>", "mask_token": null"#
    let plain = try JSONFixtures.tokenizer("qwen2", ["tokenizer_config.json": "{\(roles)}"])
    #expect(plain.beginningOfTextToken == 0)
    #expect(plain.endOfTextToken == 1)
    #expect(plain.paddingToken == 2)
    #expect(plain.maskToken == nil)
    #expect(!plain.addsBeginningOfText)
    let both = try JSONFixtures.tokenizer(
      "qwen2", ["tokenizer_config.json": "{\(roles), \"add_bos_token\": true, \"add_eos_token\": true}"])
    #expect(both.addsBeginningOfText)
    let text = try both.encode("a", addSpecialTokens: false)
    #expect(try both.encode("a") == [0] + text + [1])
    // As transformers: what is given replaces the template of the file.
    let none = try JSONFixtures.tokenizer("llama3", ["tokenizer_config.json": "{\(roles), \"add_bos_token\": false}"])
    #expect(try none.encode("a") == text)
    #expect(try JSONFixtures.tokenizer("llama3").encode("a").first == 0)
    let bert = try JSONFixtures.tokenizer(
      "bert", ["special_tokens_map.json": #"{"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}"#])
    #expect(bert.classificationToken == 2)
    #expect(bert.separatorToken == 3)
    #expect(bert.maskToken == 4)
    #expect(bert.unknownToken == 1)
  }

  @Test func tokensOfTheConfigurationAreAdded() throws {
    let tokenizer = try JSONFixtures.tokenizer(
      "qwen2",
      ["tokenizer_config.json": #"{"added_tokens_decoder": {"420": {"content": "<|tool|>", "special": true}}}"#])
    #expect(try tokenizer.encode("<|tool|>") == [420])
    #expect(tokenizer.vocabularySize == 421)
    #expect(try tokenizer.decode([420]).isEmpty)
  }

  @Test func invalidBytesAreReplaced() throws {
    let tokenizer = try JSONFixtures.tokenizer("llama3")
    let ids = try tokenizer.encode(bytes: [0x61, 0xFF, 0x62], addSpecialTokens: false, parseSpecialTokens: true)
    #expect(try ids == tokenizer.encode("a\u{FFFD}b", addSpecialTokens: false))
  }

  @Test func aCharacterIsHeldUntilItsLastByte() throws {
    let tokenizer = try JSONFixtures.tokenizer("llama3")
    let ids = try tokenizer.encode("🎉", addSpecialTokens: false)
    #expect(ids.count == 4)
    var detokenizer = tokenizer.makeStreamingDetokenizer()
    #expect(try ids.map { try detokenizer.append($0) } == ["", "", "", "🎉"])
    #expect(try detokenizer.append(ids[0]).isEmpty)
    #expect(detokenizer.finish() == "\u{FFFD}")
    TokenizerError.expect(.invalidToken, "99999") { _ = try detokenizer.append(99999) }
  }

  @Test func theFileIsTakenBeforeTheModel() throws {
    let files = [
      "tokenizer.json": try JSONFixtures.bytes("llama3"), "tokenizer.model": try Fixtures.modelBytes("bpe-bytes"),
    ]
    #expect(try Fixtures.withFolder(files, loadTokenizer) is PieceTokenizer)
    // What is not supported is left to the model beside it.
    var unsupported = files
    unsupported["tokenizer.json"] = Array(
      #"{"normalizer": {"type": "New"}, "model": {"type": "BPE", "vocab": {}, "merges": []}}"#.utf8)
    #expect(try Fixtures.withFolder(unsupported, loadTokenizer) is SentencePieceTokenizer)
  }
}

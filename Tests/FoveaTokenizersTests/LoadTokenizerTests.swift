import FoveaTokenizers
import Testing

@Suite struct LoadTokenizerTests {
  private func load(_ files: [String: String], model: String? = "bpe-bytes") throws -> any Tokenizer {
    var contents = files.mapValues { Array($0.utf8) }
    if let model { contents["tokenizer.model"] = try Fixtures.modelBytes(model) }
    return try Fixtures.withFolder(contents) { try loadTokenizer(folder: $0) }
  }

  @Test func aFolderWithTheModelOnlyFollowsLlama() throws {
    let tokenizer = try load([:])
    #expect(tokenizer.beginningOfTextToken == 1)
    #expect(tokenizer.endOfTextToken == 2)
    #expect(tokenizer.addsBeginningOfText)
    #expect(try tokenizer.encode("</s>") == [1, 2])
  }

  @Test func aModelOnlyHasItsOwnSpecialTokensThoughItHoldsLlamasAsText() throws {
    var model = try SentencePieceModel(parsing: Fixtures.modelBytes("bpe-bytes"), file: "")
    model.pieces[1].text = "<bos>"
    model.pieces[2].text = "<eos>"
    let text = model.pieces.count
    model.pieces += [.init("<s>", kind: .userDefined), .init("</s>", kind: .userDefined)]
    // More of the trainer's specification, which serialized() leaves out: bos_piece and eos_piece.
    let names = [0xF2, 0x02, 5] + Array("<bos>".utf8) + [0xFA, 0x02, 5] + Array("<eos>".utf8)
    let files = ["tokenizer.model": model.serialized() + [0x12, UInt8(names.count)] + names]
    let tokenizer = try Fixtures.withFolder(files) { try loadTokenizer(folder: $0) }
    #expect(tokenizer.beginningOfTextToken == 1 && tokenizer.endOfTextToken == 2)
    #expect(try tokenizer.decode(tokenizer.encode("<s>")).contains("<s>"))
    #expect(!tokenizer.isSpecial(text) && !tokenizer.isSpecial(text + 1))
  }

  @Test func whatIsMissingIsNamed() {
    TokenizerError.expect(.missingFile, "/no/such/folder: ", "No such file or directory") {
      _ = try loadTokenizer(folder: "/no/such/folder")
    }
    TokenizerError.expect(.missingFile, "is not a folder") { _ = try loadTokenizer(folder: #filePath) }
    TokenizerError.expect(.missingFile, "neither tokenizer.model nor tokenizer.json") { _ = try load([:], model: nil) }
    TokenizerError.expect(.malformedFile, "tokenizer.json", "model.vocab is missing") {
      _ = try load(["tokenizer.json": "{}"], model: nil)
    }
  }

  @Test func configurationsThatCannotBeFollowedAreRefused() {
    let cases: [(TokenizerError.Kind, String, String)] = [
      (.malformedFile, "{", "tokenizer_config.json"),
      (.malformedFile, #"{"add_bos_token": "yes"}"#, "add_bos_token"),
      (.malformedFile, #"{"bos_token": "<none>"}"#, "bos_token is \"<none>\""),
      (.malformedFile, #"{"bos_token": 3}"#, "bos_token"),
      (.malformedFile, #"{"added_tokens_decoder": {"x": {"content": "a"}}}"#, "\"x\" is no token id"),
      (.malformedFile, #"{"added_tokens_decoder": {"-1": {"content": "a"}}}"#, "\"-1\" is no token id"),
      (.malformedFile, #"{"added_tokens_decoder": {"9": {"content": ""}}}"#, "added token 9 is empty"),
      (.malformedFile, #"{"added_tokens_decoder": {"9": {}}}"#, "content"),
      (
        .malformedFile, #"{"added_tokens_decoder": {"700": {"content": "a!"}, "701": {"content": "a!"}}}"#,
        "is added as token 700 and as 701"
      ),
      (.unsupported, #"{"added_tokens_decoder": {"700": {"content": "a", "single_word": true}}}"#, "single_word"),
      (.unsupported, #"{"tokenizer_class": "XLMRobertaTokenizer"}"#, "XLMRobertaTokenizer"),
    ]
    for (kind, configuration, part) in cases {
      TokenizerError.expect(kind, part) { _ = try load(["tokenizer_config.json": configuration]) }
    }
  }

  @Test func specialTokensComeFromAnyOfTheFiles() throws {
    let tokenizer = try load([
      "special_tokens_map.json": #"{"bos_token": {"content": "<ctl>"}, "eos_token": "<end>"}"#,
      "added_tokens.json": #"{"<end>": 650}"#, "tokenizer_config.json": #"{"add_eos_token": true}"#,
    ])
    #expect(tokenizer.beginningOfTextToken == tokenizer.token(forPiece: "<ctl>"))
    #expect(tokenizer.endOfTextToken == 650)
    #expect(tokenizer.vocabularySize == 651)
    #expect(tokenizer.isSpecial(650))
    #expect(tokenizer.piece(of: 650) == "<end>")
    #expect(tokenizer.piece(of: 649) == nil)
    #expect(try tokenizer.encode("<end>").suffix(2) == [650, 650])
    #expect(try tokenizer.decode([650]).isEmpty)
    #expect(try tokenizer.decode([650], skipSpecialTokens: false) == "<end>")
  }

  @Test func aTokenThatIsNullIsAbsent() throws {
    let tokenizer = try load(["tokenizer_config.json": #"{"bos_token": null, "add_bos_token": true}"#])
    #expect(tokenizer.beginningOfTextToken == nil)
    #expect(!tokenizer.addsBeginningOfText)
    #expect(try tokenizer.encode("").isEmpty)
  }

  @Test func anAddedTokenMayTakeThePlaceOfAPiece() throws {
    let configuration = #"{"added_tokens_decoder": {"4": {"content": "<|new|>", "special": false}}}"#
    let tokenizer = try load(["tokenizer_config.json": configuration])
    #expect(tokenizer.piece(of: 4) == "<|new|>")
    #expect(try tokenizer.encode("<|new|>") == [1, 4])
    #expect(try tokenizer.decode([4]) == "<|new|>")
  }
}

import FoveaTokenizers
import Testing

@Suite struct SentencePieceTokenizerTests {
  @Test(arguments: Fixtures.modelNames + ["storyteller"])
  func idsAndTextsEqualThoseOfSentencePiece(model: String) throws {
    let tokenizer = try Fixtures.tokenizer(model)
    let answers = try Fixtures.lines(ReferenceAnswer.self, model + ".jsonl").filter { $0.times == nil }
    #expect(answers.count >= 120)
    for answer in answers {
      let expected = try #require(answer.ids)
      if let bytes = answer.bytes ?? answer.text.map({ Array($0.utf8) }) {
        let ids = try tokenizer.encode(bytes: bytes, addSpecialTokens: false, parseSpecialTokens: false)
        #expect(ids == expected, "\(bytes)")
      }
      let text = try tokenizer.decode(expected)
      // By bytes: strings that differ in normalization only are equal to Swift.
      #expect(Array(text.utf8) == Array(try #require(answer.decoded).utf8), "\(expected)")
    }
  }

  @Test(arguments: Fixtures.modelNames + ["storyteller"])
  func aMegabyteGivesTheReferencesIds(model: String) throws {
    let tokenizer = try Fixtures.tokenizer(model)
    let answers = try Fixtures.lines(ReferenceAnswer.self, model + ".jsonl").filter { $0.times != nil }
    #expect(answers.count == 1)
    for answer in answers {
      let text = String(repeating: try #require(answer.text), count: try #require(answer.times))
      let ids = try tokenizer.encode(text, addSpecialTokens: false)
      #expect(ids.count == answer.count)
      #expect(String(Fixtures.hash(of: ids)) == answer.hash)
    }
  }

  @Test(arguments: Fixtures.modelNames + ["storyteller"])
  func aTextThatIsCutGivesTheTokensOfTheWhole(model: String) throws {
    let tokenizer = try Fixtures.tokenizer(model)
    let texts = try Fixtures.lines(ReferenceAnswer.self, model + ".jsonl").compactMap(\.text)
    let text = Array((texts + ["a  b c\u{2581}d e\u{2581} f", " x  y ", "1 2 3\n4 5"]).joined(separator: " z ").utf8)
    let whole = try tokenizer.encoder.encode(text, partByteCount: .max)
    for partByteCount in [1, 7, 64] {
      #expect(try tokenizer.encoder.encode(text, partByteCount: partByteCount) == whole)
    }
  }

  @Test func textsAreCutOnlyWhereNoPieceReachesOverASpace() throws {
    var model = SentencePieceModel()
    model.algorithm = .bytePairEncoding
    model.pieces = ["\u{2581}", "a", "\u{2581}a", "\n\u{2581}"].map { .init($0) }
    let text = Array("aa a  a \n a a".utf8)
    let cutter = try #require(TextCutter(model))
    #expect(cutter.cut(text, from: 0)?.end == 2 && cutter.cut(text, from: 0)?.next == 3)
    #expect(cutter.cut(text, from: 3)?.end == 11)
    #expect(cutter.cut(text, from: 12) == nil)
    model.addsDummyPrefix = false
    #expect(TextCutter(model) == nil)
    model.removesExtraWhitespaces = false
    #expect(TextCutter(model)?.cut(text, from: 0)?.next == 2)
    for piece in ["a\u{2581}", "a b"] {
      var reaching = model
      reaching.pieces.append(.init(piece))
      #expect(TextCutter(reaching) == nil)
    }
    model.algorithm = .unigram
    #expect(TextCutter(model) == nil)
  }

  @Test func specialTokensAreAddedAndParsedUnlessTurnedOff() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    #expect(tokenizer.vocabularySize == 8192)
    #expect(tokenizer.beginningOfTextToken == 1)
    #expect(tokenizer.endOfTextToken == 2)
    #expect(try tokenizer.encode("Once upon</s>") == [1, 639, 773, 2])
    #expect(try tokenizer.encode("Once upon</s>", addSpecialTokens: false) == [639, 773, 2])
    let plain = try tokenizer.encode("Once upon</s>", parseSpecialTokens: false)
    #expect(!plain.dropFirst().contains(2))
    #expect(try tokenizer.decode(plain) == "Once upon</s>")
    #expect(try tokenizer.encode("") == [1])
  }

  @Test func piecesAndTokensCorrespond() throws {
    let tokenizer = try Fixtures.tokenizer("bpe-bytes")
    for token in 0..<tokenizer.vocabularySize {
      let piece = try #require(tokenizer.piece(of: token))
      #expect(tokenizer.token(forPiece: piece) == token)
    }
    #expect(tokenizer.piece(of: tokenizer.vocabularySize) == nil)
    #expect(tokenizer.piece(of: -1) == nil)
    #expect(tokenizer.token(forPiece: "no such piece") == nil)
    #expect((0..<8).filter(tokenizer.isSpecial) == [1, 2, 3, 4])
  }

  @Test func specialTokensDecodeToTheirSpellingOnRequest() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    #expect(try tokenizer.decode([1, 639, 773, 2], skipSpecialTokens: false) == "<s> Once upon</s>")
    #expect(try tokenizer.decode([1, 639, 773, 2]) == "Once upon")
    #expect(try tokenizer.decode([]).isEmpty)
  }

  @Test(arguments: [-1, 8192, Int.max, Int.min])
  func decodingANumberThatIsNoTokenThrows(token: Int) throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    TokenizerError.expect(.invalidToken, "no token \(token)", "8192") { _ = try tokenizer.decode([1, token]) }
  }

  @Test func textThatIsTooLongThrows() throws {
    let tokenizer = try Fixtures.tokenizer("unigram-rules")
    TokenizerError.expect(.unencodableText, "8388608 bytes") {
      _ = try tokenizer.encode(String(repeating: "a", count: 8 << 20))
    }
  }

  @Test func vocabularyMustFitTheModel() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    #expect(throws: Never.self) { try tokenizer.checkVocabulary(fitsModelOf: 8192, folder: "f") }
    #expect(throws: Never.self) { try tokenizer.checkVocabulary(fitsModelOf: 8256, folder: "f") }
    TokenizerError.expect(.vocabularyMismatch, "8192", "8191") {
      try tokenizer.checkVocabulary(fitsModelOf: 8191, folder: "f")
    }
  }
}

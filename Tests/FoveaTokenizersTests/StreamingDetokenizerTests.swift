import FoveaTokenizers
import Testing

@Suite struct StreamingDetokenizerTests {
  @Test(arguments: Fixtures.modelNames + ["storyteller"])
  func piecesJoinToTheReferencesText(model: String) throws {
    let tokenizer = try Fixtures.tokenizer(model)
    // One decoder for all texts: `finish` must leave nothing behind.
    var detokenizer = tokenizer.makeStreamingDetokenizer()
    for answer in try Fixtures.lines(ReferenceAnswer.self, model + ".jsonl") where answer.times == nil {
      var text: [UInt8] = []
      for token in try #require(answer.ids) { text += Array(try detokenizer.append(token).utf8) }
      text += Array(detokenizer.finish().utf8)
      #expect(text == Array(try #require(answer.decoded).utf8), "\(String(describing: answer.ids))")
    }
  }

  @Test func aCharacterIsHeldUntilItsLastByte() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    var detokenizer = tokenizer.makeStreamingDetokenizer()
    let bytes = try "🎉".utf8.map { try #require(tokenizer.token(forPiece: "<0x\(hexadecimal($0))>")) }
    #expect(try bytes.map { try detokenizer.append($0) } == ["", "", "", "🎉"])
    #expect(detokenizer.finish().isEmpty)
  }

  @Test func anUnfinishedCharacterBecomesReplacements() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    var detokenizer = tokenizer.makeStreamingDetokenizer()
    func byte(_ value: UInt8) throws -> Int { try #require(tokenizer.token(forPiece: "<0x\(hexadecimal(value))>")) }
    #expect(try detokenizer.append(byte(0xF0)).isEmpty)
    #expect(try detokenizer.append(byte(0x9F)).isEmpty)
    #expect(try detokenizer.append(639) == "\u{FFFD}\u{FFFD} Once")
    #expect(try detokenizer.append(byte(0xE2)).isEmpty)
    // The new byte shows that the one before begins nothing.
    #expect(try detokenizer.append(byte(0xC3)) == "\u{FFFD}")
    #expect(detokenizer.finish() == "\u{FFFD}")
  }

  @Test func aTokenThatDoesNotExistLeavesTheTextAsItWas() throws {
    let tokenizer = try loadTokenizer(folder: Fixtures.bundledFolder)
    var detokenizer = tokenizer.makeStreamingDetokenizer()
    #expect(try detokenizer.append(639) == "Once")
    TokenizerError.expect(.invalidToken, "99999") { _ = try detokenizer.append(99999) }
    #expect(try detokenizer.append(773) == " upon")
  }

  private func hexadecimal(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }
}

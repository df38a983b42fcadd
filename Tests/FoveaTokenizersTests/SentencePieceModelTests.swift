import FoveaTokenizers
import Testing

@Suite struct SentencePieceModelTests {
  typealias Piece = SentencePieceModel.Piece

  static func smallModel() -> SentencePieceModel {
    var model = SentencePieceModel()
    model.algorithm = .bytePairEncoding
    model.pieces = [
      Piece("<unk>", kind: .unknown), Piece("<s>", kind: .control), Piece("</s>", kind: .control), Piece("▁"),
      Piece("a"),
    ]
    return model
  }

  private func load(_ model: SentencePieceModel) throws {
    _ = try SentencePieceTokenizer(modelBytes: model.serialized(), file: "small.model")
  }

  @Test func aSmallModelLoads() throws {
    let tokenizer = try SentencePieceTokenizer(
      modelBytes: SentencePieceModelTests.smallModel().serialized(), file: "small.model")
    #expect(try tokenizer.encode("a a") == [1, 3, 4, 3, 4])
    #expect(try tokenizer.decode([3, 4, 0]) == "a \u{2047} ")
  }

  @Test func eachBrokenRuleIsNamed() {
    let cases: [(String, (inout SentencePieceModel) -> Void)] = [
      ("no pieces", { $0.pieces = [] }),
      ("piece 4 is empty", { $0.pieces[4].text = "" }),
      ("piece 4 has 1025 bytes", { $0.pieces[4].text = String(repeating: "a", count: 1025) }),
      ("piece 4 holds a NUL", { $0.pieces[4].text = "a\0b" }),
      ("pieces 3 and 4 are both \"▁\"", { $0.pieces[4].text = "▁" }),
      ("pieces 0 and 4 are both unknown", { $0.pieces[4].kind = .unknown }),
      ("no unknown piece", { $0.pieces.removeFirst() }),
      ("piece 4 is a byte, but byte_fallback is off", { $0.pieces[4] = Piece("<0x0A>", kind: .byte) }),
      ("only 0 of 256 bytes", { $0.usesByteFallback = true }),
      (
        "piece 4 is a byte spelt \"<0x0a>\"",
        {
          $0.usesByteFallback = true
          $0.pieces[4] = Piece("<0x0a>", kind: .byte)
        }
      ),
      ("field 2 at byte", { $0.pieces[4].score = .nan }),
      ("inf, expected a finite number", { $0.pieces[4].score = .infinity }),
      (
        "more than 64 user-defined pieces begin one another",
        { model in
          model.pieces += (1...65).map { Piece(String(repeating: "b", count: $0), kind: .userDefined) }
        }
      ),
      ("precompiled_charsmap", { $0.characterMap = [1, 2, 3] }),
    ]
    for (part, breakRule) in cases {
      var model = SentencePieceModelTests.smallModel()
      breakRule(&model)
      TokenizerError.expect(.malformedFile, "small.model", part) { try load(model) }
    }
  }

  @Test func piecesThatDifferInNormalizationOnlyAreTwo() throws {
    var model = SentencePieceModelTests.smallModel()
    model.pieces += [Piece("\u{E9}"), Piece("e\u{301}", kind: .userDefined)]
    let tokenizer = try SentencePieceTokenizer(modelBytes: model.serialized(), file: "small.model")
    #expect(try tokenizer.encode("\u{E9}e\u{301}", addSpecialTokens: false) == [3, 5, 6])
    #expect(tokenizer.token(forPiece: "e\u{301}") == 6)
  }

  @Test func sixtyFourUserDefinedPiecesMayBeginOneAnother() throws {
    var model = SentencePieceModelTests.smallModel()
    model.pieces += (1...64).map { Piece(String(repeating: "b", count: $0), kind: .userDefined) }
    let tokenizer = try SentencePieceTokenizer(modelBytes: model.serialized(), file: "small.model")
    #expect(try tokenizer.encode(String(repeating: "b", count: 65), addSpecialTokens: false) == [3, 68, 5])
  }

  @Test func brokenWireFormatIsRefusedWithItsOffset() {
    let cases: [(String, [UInt8])] = [
      ("field number 0 at byte 0", [0x02, 0x00]),
      ("unknown wire type 3", [0x0B]),
      ("unknown wire type 7", [0x0F]),
      ("has 5 bytes, but only 1 are left", [0x0A, 0x05, 0x00]),
      ("the number at byte 1 has no end", [0x0A, 0xFF]),
      ("the number at byte 1 has no end", [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x02]),
      ("claims 18446744073709551615 bytes", [0x0A] + [UInt8](repeating: 0xFF, count: 9) + [0x01]),
      ("piece 0: field 1 at byte 2 is not text", [0x0A, 0x02, 0x08, 0x01]),
      ("piece 0: field 1 at byte 2 is not valid UTF-8", [0x0A, 0x03, 0x0A, 0x01, 0xFF]),
      ("piece 0: field 3 at byte 2 is type 7", [0x0A, 0x02, 0x18, 0x07]),
      ("field 1 at byte 0 is not text or a message", [0x08, 0x01]),
    ]
    for (part, bytes) in cases {
      TokenizerError.expect(.malformedFile, part) {
        _ = try SentencePieceTokenizer(modelBytes: bytes, file: "wire.model")
      }
    }
  }

  @Test func trainerSettingsAreChecked() {
    let model = SentencePieceModelTests.smallModel().serialized()
    func trainer(_ field: Int, _ value: Int) -> [UInt8] {
      var inner = ProtobufWriter()
      inner.write(value, field: field)
      var outer = ProtobufWriter()
      outer.write(inner.bytes, field: 2)
      // A second trainer_spec is merged with the first, as protobuf asks.
      return model + outer.bytes
    }
    for (kind, part, bytes) in [
      (TokenizerError.Kind.unsupported, "model_type 3 (WORD)", trainer(3, 3)),
      (.unsupported, "model_type 4 (CHAR)", trainer(3, 4)), (.unsupported, "model_type -1", trainer(3, -1)),
      (.malformedFile, "bos_id is 5, but there are 5 pieces", trainer(41, 5)),
      (.malformedFile, "not a 32-bit integer", trainer(42, 1 << 40)),
    ] {
      TokenizerError.expect(kind, part) { _ = try SentencePieceTokenizer(modelBytes: bytes, file: "trainer.model") }
    }
    #expect(throws: Never.self) { _ = try SentencePieceTokenizer(modelBytes: trainer(43, -1), file: "trainer.model") }
  }
}

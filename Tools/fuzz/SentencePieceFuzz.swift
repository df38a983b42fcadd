// Fuzzes the check of SentencePiece models: whatever the bytes, loading must succeed or throw, and a model that loads
// must encode and decode without a fault in libsentencepiece.

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSentencePiece(_ start: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  // libFuzzer gives `byteCount` readable bytes.
  let bytes = Array(UnsafeBufferPointer(start: start, count: byteCount))
  do throws(TokenizerError) {
    let tokenizer = try SentencePieceTokenizer(modelBytes: bytes, file: "fuzz.model")
    let ascii = (0...127).map(UInt8.init)
    for text in [ascii, Array("ﬁ Å１２ａｂ  日本🎉\u{0}é".utf8), [0xFF, 0xE2, 0x96, 0x20], Array(bytes.suffix(64))] {
      // A text that the model cannot express may throw; the others must still be tried.
      guard let tokens = try? tokenizer.encode(bytes: text, addSpecialTokens: true, parseSpecialTokens: true) else {
        continue
      }
      _ = try tokenizer.decode(tokens, skipSpecialTokens: tokens.count % 2 == 0)
    }
    _ = try tokenizer.decode(Array(0..<tokenizer.vocabularySize))
  } catch {
    _ = error.description
  }
  return 0
}

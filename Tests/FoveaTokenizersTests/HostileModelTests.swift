import FoveaTokenizers
import Testing

/// Whatever is in a model file, loading it gives a tokenizer that works or a typed error.
@Suite struct HostileModelTests {
  static let names = Fixtures.modelNames + ["storyteller"]

  @Test(arguments: names)
  func mutatedFilesNeverCrash(name: String) throws {
    let original = try Fixtures.modelBytes(name)
    var random = SeededGenerator(state: 20_240_501)
    var loadedCount = 0
    for _ in 0..<2000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...3, using: &random) { mutate(&bytes, using: &random) }
      if try exercise(bytes) { loadedCount += 1 }
    }
    // Of both kinds, or the test would test one half only.
    #expect(loadedCount > 0)
    #expect(loadedCount < 2000)
  }

  @Test(arguments: names)
  func truncatedFilesNeverCrash(name: String) throws {
    let original = try Fixtures.modelBytes(name)
    for count in 0..<min(original.count, 400) { _ = try exercise(Array(original.prefix(count))) }
    for step in 0..<400 { _ = try exercise(Array(original.prefix(original.count * step / 400))) }
    #expect(try exercise(original))
  }

  @Test func anEmptyFileIsRefused() {
    TokenizerError.expect(.malformedFile, "empty.model", "no pieces") {
      _ = try SentencePieceTokenizer(modelBytes: [], file: "empty.model")
    }
  }

  private func mutate(_ bytes: inout [UInt8], using random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    let position = Int.random(in: bytes.indices, using: &random)
    let end = min(bytes.count, position + Int.random(in: 1...16, using: &random))
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[position] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
    case 2: bytes.removeSubrange(position..<end)
    case 3: bytes.insert(contentsOf: bytes[position..<end], at: position)
    case 4: for index in position..<end { bytes[index] = UInt8.random(in: 0...255, using: &random) }
    default: bytes.removeSubrange(position...)
    }
  }

  /// Whether the model loads; one that does must encode and decode, too.
  private func exercise(_ bytes: [UInt8]) throws -> Bool {
    let tokenizer: SentencePieceTokenizer
    do {
      tokenizer = try SentencePieceTokenizer(modelBytes: bytes, file: "mutated.model")
    } catch {
      #expect(error.kind == .malformedFile || error.kind == .unsupported, "\(error)")
      #expect(error.file == "mutated.model")
      return false
    }
    do {
      let tokens = try tokenizer.encode("Once upon a time, café １２ 東京 <sep>\n\n\n🎉")
      _ = try tokenizer.decode(tokens)
    } catch {
      // As where a control piece is spelt as a character: the text cannot be written with such a model.
      #expect(error.kind == .unencodableText, "\(error)")
    }
    _ = try tokenizer.decode(Array(0..<tokenizer.vocabularySize))
    return true
  }
}

internal import CSentencePiece

/// Splits text into tokens with libsentencepiece.
///
/// Versions differ where two ways to split a text have the same score in a Unigram model, as with the user-defined pieces
/// "\n" and "\n\n" in three newlines: 0.1.97 and 0.2.0 take the longer one first, 0.2.3 the shorter.
///
/// `@unchecked Sendable` without a lock: the library's model is written only by `init`, and encoding only reads it.
package final class SentencePieceEncoder: @unchecked Sendable {
  /// The longest text in bytes. The library counts in 32 bits, in which 256-fold growth by a character map
  /// (`CharacterMap.replacementByteCountLimit`) must fit for maps, and 3-fold growth (space to ▁) without.
  private let textByteCountLimit: Int
  private let handle: OpaquePointer
  private let file: String
  private let cutter: TextCutter?

  private static let messageByteCount = 512

  /// Loads a model that was checked; `file` is for errors.
  ///
  /// - Throws: `malformedFile` where the library finds something that the checks did not.
  init(_ model: SentencePieceModel, file: String) throws(TokenizerError) {
    var message = [CChar](repeating: 0, count: SentencePieceEncoder.messageByteCount)
    let bytes = model.serialized()
    // The library copies `bytes` and ends `message` with NUL inside of its length.
    guard let handle = fovea_sentencepiece_create(bytes, bytes.count, &message, message.count) else {
      throw TokenizerError(.malformedFile, file: file, "libsentencepiece: \(text(of: message))")
    }
    self.handle = handle
    self.file = file
    cutter = TextCutter(model)
    textByteCountLimit = model.characterMap.isEmpty ? 256 << 20 : 7 << 20
    let pieceCount = Int(fovea_sentencepiece_piece_count(handle))
    guard pieceCount == model.pieces.count else {
      throw TokenizerError(
        .malformedFile, file: file, "libsentencepiece found \(pieceCount) pieces of \(model.pieces.count)")
    }
  }

  deinit {
    fovea_sentencepiece_destroy(handle)
  }

  /// The tokens of UTF-8 bytes; each byte that is not part of valid UTF-8 counts as U+FFFD.
  ///
  /// A long text is cut to parts of about `partByteCount` bytes where that changes no token: the library's tables for a
  /// megabyte leave the processor's caches, and take it three times as long.
  package func encode(
    _ bytes: some Collection<UInt8>, partByteCount: Int = 4096
  ) throws(TokenizerError) -> [Int] {
    guard bytes.count <= textByteCountLimit else {
      throw TokenizerError(
        .unencodableText, file: file,
        "a text of \(bytes.count) bytes without special tokens is longer than the limit of \(textByteCountLimit)")
    }
    let bytes = Array(bytes)
    var tokens: [Int] = []
    var start = 0
    repeat {
      let cut = cutter?.cut(bytes, from: start + partByteCount)
      try append(bytes[start..<(cut?.end ?? bytes.count)], to: &tokens)
      start = cut?.next ?? bytes.count
    } while start < bytes.count
    return tokens
  }

  private func append(_ bytes: ArraySlice<UInt8>, to result: inout [Int]) throws(TokenizerError) {
    var message = [CChar](repeating: 0, count: SentencePieceEncoder.messageByteCount)
    var tokens: UnsafeMutablePointer<Int32>?
    var tokenCount = 0
    let succeeded = bytes.withUnsafeBytes { buffer in
      fovea_sentencepiece_encode(
        handle, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count, &tokens, &tokenCount, &message,
        message.count)
    }
    defer { fovea_sentencepiece_free_tokens(tokens) }
    guard succeeded != 0 else {
      throw TokenizerError(.unencodableText, file: file, "libsentencepiece: \(text(of: message))")
    }
    // The library gives `tokenCount` ids at `tokens`, which are ours until they are freed.
    for token in UnsafeBufferPointer(start: tokens, count: tokenCount) { result.append(Int(token)) }
  }
}

private func text(of message: [CChar]) -> String {
  String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

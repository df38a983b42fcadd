extension SentencePieceModel {
  /// The longest piece that is allowed, in bytes: libsentencepiece recurses once a byte.
  package static let pieceByteCountLimit = 1024

  /// How many user-defined pieces may begin one another: libsentencepiece looks up at most this many and reads past the
  /// results where there are more.
  package static let nestedUserDefinedPieceLimit = 64

  /// Checks the rules between the fields.
  func validate(file: String) throws(TokenizerError) {
    func malformed(_ message: String) -> TokenizerError { TokenizerError(.malformedFile, file: file, message) }

    guard !pieces.isEmpty else { throw malformed("the SentencePiece model has no pieces") }
    var tokens: [ExactString: Int] = [:]
    tokens.reserveCapacity(pieces.count)
    var unknownToken: Int?
    var seenBytes = Set<UInt8>()
    for (token, piece) in pieces.enumerated() {
      guard !piece.text.isEmpty else { throw malformed("piece \(token) is empty") }
      guard piece.text.utf8.count <= SentencePieceModel.pieceByteCountLimit else {
        throw malformed(
          "piece \(token) has \(piece.text.utf8.count) bytes, more than \(SentencePieceModel.pieceByteCountLimit)")
      }
      // libsentencepiece keeps pieces in tries of C strings.
      guard !piece.text.utf8.contains(0) else { throw malformed("piece \(token) holds a NUL character") }
      if let first = tokens.updateValue(token, forKey: ExactString(piece.text)) {
        throw malformed("pieces \(first) and \(token) are both \(String(reflecting: piece.text))")
      }
      switch piece.kind {
      case .unknown:
        if let unknownToken { throw malformed("pieces \(unknownToken) and \(token) are both unknown pieces") }
        unknownToken = token
      case .byte:
        guard usesByteFallback else { throw malformed("piece \(token) is a byte, but byte_fallback is off") }
        guard let byte = piece.byte else {
          throw malformed("piece \(token) is a byte spelt \(String(reflecting: piece.text)), expected <0x00> to <0xFF>")
        }
        seenBytes.insert(byte)
      case .normal, .control, .userDefined, .unused: break
      }
    }
    guard unknownToken != nil else { throw malformed("the SentencePiece model has no unknown piece") }
    if usesByteFallback, seenBytes.count < 256 {
      throw malformed("byte_fallback is on, but only \(seenBytes.count) of 256 bytes have a piece")
    }
    for (name, token) in trainerTokens where token >= pieces.count {
      throw malformed("\(name) is \(token), but there are \(pieces.count) pieces")
    }
    try validateUserDefinedPieces(file: file)
    if !characterMap.isEmpty { try CharacterMap.validate(characterMap, file: file) }
    guard !hasDenormalizer else {
      throw TokenizerError(.unsupported, file: file, "denormalizer_spec with rules of its own")
    }
  }

  private func validateUserDefinedPieces(file: String) throws(TokenizerError) {
    // In byte order a piece comes after those that it begins with; these are what is left of the last ones.
    var nested: [[UInt8]] = []
    let userDefined = pieces.filter { $0.kind == .userDefined }.map { Array($0.text.utf8) }
    for piece in userDefined.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      while let last = nested.last, !piece.starts(with: last) { nested.removeLast() }
      nested.append(piece)
      guard nested.count <= SentencePieceModel.nestedUserDefinedPieceLimit else {
        throw TokenizerError(
          .malformedFile, file: file,
          "more than \(SentencePieceModel.nestedUserDefinedPieceLimit) user-defined pieces begin one another, up to "
            + String(reflecting: String(decoding: piece, as: UTF8.self)))
      }
    }
  }
}

extension SentencePieceModel.Piece {
  /// The byte that a byte piece stands for, or nil where it is not spelt as in `<0x0A>`.
  var byte: UInt8? {
    let spelling = Array(text.utf8)
    guard spelling.count == 6, spelling.starts(with: "<0x".utf8), spelling[5] == UInt8(ascii: ">") else { return nil }
    var value: UInt8 = 0
    for digit in spelling[3...4] {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | (digit - UInt8(ascii: "0"))
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | (digit - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return value
  }
}

extension SentencePieceModel {
  /// Reads a `.model` file and checks all that libsentencepiece takes for granted.
  ///
  /// - Throws: `TokenizerError` of kind `malformedFile` or `unsupported`.
  package init(parsing bytes: [UInt8], file: String) throws(TokenizerError) {
    self.init()
    var reader = ProtobufReader("SentencePiece model", in: bytes, range: bytes.indices, file: file)
    while let field = try reader.next() {
      switch field.number {
      case 1: pieces.append(try SentencePieceModel.piece(pieces.count, in: bytes, range: field.range(), file: file))
      case 2: try readTrainer(in: bytes, range: field.range(), file: file)
      case 3: try readNormalizer(in: bytes, range: field.range(), file: file)
      case 5: try readDenormalizer(in: bytes, range: field.range(), file: file)
      default: break
      }
    }
    try validate(file: file)
  }

  private static func piece(
    _ token: Int, in bytes: [UInt8], range: Range<Int>, file: String
  ) throws(TokenizerError) -> Piece {
    var piece = Piece()
    var reader = ProtobufReader("piece \(token)", in: bytes, range: range, file: file)
    while let field = try reader.next() {
      switch field.number {
      case 1: piece.text = try field.text(in: bytes)
      case 2: piece.score = try field.finiteFloat()
      case 3:
        let number = try field.integer()
        guard let kind = PieceKind(rawValue: number) else {
          throw field.malformed("is type \(number), expected 1 to 6")
        }
        piece.kind = kind
      default: break
      }
    }
    return piece
  }

  private mutating func readTrainer(in bytes: [UInt8], range: Range<Int>, file: String) throws(TokenizerError) {
    var reader = ProtobufReader("trainer_spec", in: bytes, range: range, file: file)
    while let field = try reader.next() {
      switch field.number {
      case 3:
        let number = try field.integer()
        guard let algorithm = Algorithm(rawValue: number) else {
          let name = [3: "WORD", 4: "CHAR"][number].map { " (\($0))" } ?? ""
          throw TokenizerError(
            .unsupported, file: file, "model_type \(number)\(name), expected 1 (UNIGRAM) or 2 (BPE)")
        }
        self.algorithm = algorithm
      case 24: treatsWhitespaceAsSuffix = try field.bool()
      case 35: usesByteFallback = try field.bool()
      case 40: trainerTokens.append(("unk_id", try field.integer()))
      case 41: trainerTokens.append(("bos_id", try field.integer()))
      case 42: trainerTokens.append(("eos_id", try field.integer()))
      case 43: trainerTokens.append(("pad_id", try field.integer()))
      case 44: unknownSurface = try field.text(in: bytes)
      case 46: beginningOfTextPiece = try field.text(in: bytes)
      case 47: endOfTextPiece = try field.text(in: bytes)
      default: break
      }
    }
  }

  private mutating func readNormalizer(in bytes: [UInt8], range: Range<Int>, file: String) throws(TokenizerError) {
    var reader = ProtobufReader("normalizer_spec", in: bytes, range: range, file: file)
    while let field = try reader.next() {
      switch field.number {
      case 2: characterMap = Array(bytes[try field.range()])
      case 3: addsDummyPrefix = try field.bool()
      case 4: removesExtraWhitespaces = try field.bool()
      case 5: escapesWhitespaces = try field.bool()
      default: break
      }
    }
  }

  private mutating func readDenormalizer(in bytes: [UInt8], range: Range<Int>, file: String) throws(TokenizerError) {
    var reader = ProtobufReader("denormalizer_spec", in: bytes, range: range, file: file)
    while let field = try reader.next() {
      if field.number == 2 { hasDenormalizer = try !field.range().isEmpty }
    }
  }
}

/// What a SentencePiece `.model` file says, as far as encoding and decoding depend on it.
///
/// The names of the fields in `sentencepiece_model.proto` stand beside those that differ.
package struct SentencePieceModel: Sendable {
  /// How text is split. The file's types 3 (words) and 4 (characters) are refused.
  package enum Algorithm: Int, Sendable {
    case unigram = 1
    case bytePairEncoding = 2
  }

  /// What a piece stands for.
  package enum PieceKind: Int, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  /// One entry of the vocabulary; its index is its token id.
  package struct Piece: Sendable {
    package var text = ""
    package var score: Float = 0
    package var kind = PieceKind.normal

    package init(_ text: String = "", score: Float = 0, kind: PieceKind = .normal) {
      self.text = text
      self.score = score
      self.kind = kind
    }
  }

  package var pieces: [Piece] = []

  // Of the trainer's specification.
  package var algorithm = Algorithm.unigram
  /// Whether an unknown character is spelt by the pieces of its bytes (`byte_fallback`).
  package var usesByteFallback = false
  /// Whether a word's space belongs to its end (`treat_whitespace_as_suffix`).
  package var treatsWhitespaceAsSuffix = false
  /// The text that an unknown piece decodes to (`unk_surface`).
  package var unknownSurface = " \u{2047} "
  package var beginningOfTextPiece = "<s>"
  package var endOfTextPiece = "</s>"
  /// The ids that the trainer was given for unknown, beginning, end and padding; negative for none.
  package var trainerTokens: [(name: String, token: Int)] = []

  // Of the normalizer's specification.
  /// The compiled replacements of characters (`precompiled_charsmap`), empty for none. See `CharacterMap`.
  package var characterMap: [UInt8] = []
  /// Whether a space is put before the text (`add_dummy_prefix`).
  package var addsDummyPrefix = true
  /// Whether runs of spaces become one and those at both ends none (`remove_extra_whitespaces`).
  package var removesExtraWhitespaces = true
  /// Whether a space becomes ▁ (`escape_whitespaces`).
  package var escapesWhitespaces = true

  /// Whether decoded text is to be normalized too, which Fovea does not do.
  package var hasDenormalizer = false

  /// A model without pieces and with the format's default values.
  package init() {}
}

extension SentencePieceModel {
  /// The token with exactly this text and kind. Linear in the vocabulary.
  package func token(_ text: String, kind: PieceKind) -> Int? {
    pieces.firstIndex { $0.kind == kind && ExactString($0.text) == ExactString(text) }
  }

  /// The model as a `ModelProto` that holds these values and nothing else.
  ///
  /// libsentencepiece is given this instead of the file, so that it cannot read anything in the file otherwise than the
  /// checks did, and never runs the self-tests that a file may carry.
  package func serialized() -> [UInt8] {
    var model = ProtobufWriter()
    for piece in pieces {
      var message = ProtobufWriter()
      message.write(piece.text.utf8, field: 1)
      message.write(piece.score, field: 2)
      message.write(piece.kind.rawValue, field: 3)
      model.write(message.bytes, field: 1)
    }
    var trainer = ProtobufWriter()
    trainer.write(algorithm.rawValue, field: 3)
    trainer.write(treatsWhitespaceAsSuffix, field: 24)
    trainer.write(usesByteFallback, field: 35)
    model.write(trainer.bytes, field: 2)
    var normalizer = ProtobufWriter()
    if !characterMap.isEmpty { normalizer.write(characterMap, field: 2) }
    normalizer.write(addsDummyPrefix, field: 3)
    normalizer.write(removesExtraWhitespaces, field: 4)
    normalizer.write(escapesWhitespaces, field: 5)
    model.write(normalizer.bytes, field: 3)
    return model.bytes
  }
}

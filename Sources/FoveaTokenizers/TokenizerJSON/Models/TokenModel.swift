/// What splits one word, as the pre-tokenizers cut it, into tokens.
protocol TokenModel: Sendable {
  /// The tokens by their spelling, without those that were added to the model.
  var vocabulary: Vocabulary { get }

  /// How the unknown token is spelled, or nil where there is none.
  var unknownSpelling: String? { get }

  /// Appends the tokens of `range` of `bytes`, valid UTF-8 that is not empty, to `tokens`.
  func tokenize(
    _ bytes: [UInt8], _ range: Range<Int>, into tokens: inout [Int32], workspace: inout MergeWorkspace
  ) throws(ModelFailure)
}

/// Why a model cannot express a text.
struct ModelFailure: Error {
  let reason: String
}

extension [UInt8] {
  /// The bytes of the character of UTF-8 that begins with `byte`.
  @inline(always)
  static func characterByteCount(_ byte: UInt8) -> Int {
    byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
  }

  /// The character that begins at `index` of valid UTF-8.
  @inline(always)
  func scalar(at index: Int) -> Unicode.Scalar {
    let first = self[index]
    let value: UInt32
    switch first {
    case 0..<0x80: value = UInt32(first)
    case 0x80..<0xE0: value = UInt32(first & 0x1F) << 6 | UInt32(self[index + 1] & 0x3F)
    case 0xE0..<0xF0:
      value = UInt32(first & 0xF) << 12 | UInt32(self[index + 1] & 0x3F) << 6 | UInt32(self[index + 2] & 0x3F)
    default:
      value =
        UInt32(first & 7) << 18 | UInt32(self[index + 1] & 0x3F) << 12 | UInt32(self[index + 2] & 0x3F) << 6
        | UInt32(self[index + 3] & 0x3F)
    }
    return Unicode.Scalar(value) ?? "\u{FFFD}"
  }

  /// Appends a character.
  @inline(always)
  mutating func append(_ scalar: Unicode.Scalar) {
    if scalar.value < 0x80 {
      append(UInt8(truncatingIfNeeded: scalar.value))
    } else {
      append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
    }
  }
}

/// A text on its way to words: its bytes, and the pieces that it is cut into so far.
struct PreTokenizedText {
  var bytes: [UInt8]
  var pieces: [Range<Int>]
  /// Whether the text is the beginning of the whole one, rather than what follows an added token.
  let isBeginning: Bool

  init(_ bytes: [UInt8], isBeginning: Bool) {
    self.bytes = bytes
    self.isBeginning = isBeginning
    pieces = bytes.isEmpty ? [] : [bytes.indices]
  }

  /// Cuts every piece at the matches of `pattern`.
  mutating func split(
    _ pattern: TextPattern, _ behavior: SplitBehavior, isInverted: Bool = false
  ) throws(Regex.Failure) {
    var result: [Range<Int>] = []
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var pieceIndex = 0
    var position = pieces.first?.lowerBound ?? 0
    result.reserveCapacity(pieces.count + bytes.count / 4)

    func finishPiece() {
      if position < pieces[pieceIndex].upperBound {
        parts.append((position..<pieces[pieceIndex].upperBound, isInverted))
      }
      for piece in behavior.joined(parts) where !piece.isEmpty { result.append(piece) }
      parts.removeAll(keepingCapacity: true)
      pieceIndex += 1
      if pieceIndex < pieces.count { position = pieces[pieceIndex].lowerBound }
    }
    try pattern.forEachMatch(in: bytes, ranges: pieces) { index, match in
      while pieceIndex < index { finishPiece() }
      if position < match.lowerBound { parts.append((position..<match.lowerBound, isInverted)) }
      parts.append((match, !isInverted))
      position = match.upperBound
    }
    while pieceIndex < pieces.count { finishPiece() }
    pieces = result
  }

  /// Writes every piece anew.
  mutating func rewrite(_ body: (_ bytes: [UInt8], _ piece: Range<Int>, _ result: inout [UInt8]) -> Void) {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 2)
    for index in pieces.indices {
      let start = result.count
      body(bytes, pieces[index], &result)
      pieces[index] = start..<result.count
    }
    bytes = result
  }
}

/// One of the rules that cut a text into words before the model sees it.
enum PreTokenizer: Sendable {
  case byteLevel(addsPrefixSpace: Bool, splitsBy: TextPattern?)
  case split(TextPattern, SplitBehavior, isInverted: Bool)
  case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)

  /// Which pieces get a space before them.
  enum PrependScheme: String {
    case always, first, never
  }

  func apply(to text: inout PreTokenizedText) throws(Regex.Failure) {
    switch self {
    case .byteLevel(let addsPrefixSpace, let pattern):
      let space = UInt8(ascii: " ")
      if addsPrefixSpace, text.pieces.contains(where: { text.bytes[$0.lowerBound] != space }) {
        text.rewrite { bytes, piece, result in
          if bytes[piece.lowerBound] != space { result.append(space) }
          result.append(contentsOf: bytes[piece])
        }
      }
      if let pattern { try text.split(pattern, .isolated) }
      text.rewrite { ByteLevelAlphabet.append($0, $1, to: &$2) }
    case .split(let pattern, let behavior, let isInverted): try text.split(pattern, behavior, isInverted: isInverted)
    case .metaspace(let replacement, let scheme, let splits):
      let isBeginning = text.isBeginning
      text.rewrite { bytes, piece, result in
        let isFirst = isBeginning && piece.lowerBound == 0
        let hasMark = bytes[piece.lowerBound] == UInt8(ascii: " ") || bytes[piece].starts(with: replacement)
        if !hasMark, scheme == .always || scheme == .first && isFirst { result.append(contentsOf: replacement) }
        for byte in bytes[piece] {
          if byte == UInt8(ascii: " ") { result.append(contentsOf: replacement) } else { result.append(byte) }
        }
      }
      if splits { try text.split(.literal(replacement), .mergedWithNext) }
    }
  }
}

/// The characters that stand for bytes in byte-level BPE: printable ones for themselves, the others for U+0100 and on.
enum ByteLevelAlphabet {
  /// The UTF-8 of each byte's character: one byte, or two in one number.
  private static let encoded: [UInt16] = scalars.map { scalar in
    scalar.value < 0x80
      ? UInt16(scalar.value) : UInt16(0xC0 | scalar.value >> 6) | UInt16(0x80 | scalar.value & 0x3F) << 8
  }

  static let scalars: [Unicode.Scalar] = {
    var shifted: UInt32 = 0x100
    return (0..<256 as Range<UInt32>).map { byte in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE {
        return Unicode.Scalar(UInt8(byte))
      }
      defer { shifted += 1 }
      return Unicode.Scalar(shifted) ?? " "
    }
  }()

  /// The byte of each character before U+0200, or nil.
  private static let bytes: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x200)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
    return bytes
  }()

  static func append(_ bytes: [UInt8], _ range: Range<Int>, to result: inout [UInt8]) {
    let encoded = encoded
    for byte in bytes[range] {
      let characters = encoded[Int(byte)]
      result.append(UInt8(truncatingIfNeeded: characters))
      if characters > 0xFF { result.append(UInt8(truncatingIfNeeded: characters >> 8)) }
    }
  }

  /// The bytes that a token's spelling stands for; those of the spelling where a character stands for none.
  static func decoded(_ spelling: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < spelling.count {
      let scalar = spelling.scalar(at: index)
      guard scalar.value < 0x200, let byte = bytes[Int(scalar.value)] else { return spelling }
      result.append(byte)
      index += [UInt8].characterByteCount(spelling[index])
    }
    return result
  }
}

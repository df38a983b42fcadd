import FoveaTokenizers
import Testing

@Suite struct CharacterMapTests {
  static let replacements = Array("x\0yz\0".utf8)

  /// Where "a" leads from the base 256.
  private let child = 256 ^ 97

  /// A map whose trie has `units` at the start of as many blocks of 256 units as asked for.
  private func map(_ units: [Int: UInt32], blockCount: Int = 2, _ replacements: [UInt8] = replacements) -> [UInt8] {
    var words = [UInt32](repeating: 0x8000_0000, count: 256 * blockCount)
    for (position, unit) in units { words[position] = unit }
    let trie = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    return (0..<4).map { UInt8(truncatingIfNeeded: trie.count >> (8 * $0)) } + trie + replacements
  }

  private func unit(label: UInt8, offset: Int, hasValue: Bool = false) -> UInt32 {
    UInt32(offset) << 10 | (hasValue ? 1 << 8 : 0) | UInt32(label)
  }

  private func value(_ value: UInt32) -> UInt32 { 0x8000_0000 | value }

  /// Root → "a" with the value at byte 2 of the replacements.
  private var sound: [Int: UInt32] {
    [0: unit(label: 0, offset: 256), child: unit(label: 97, offset: child ^ 384, hasValue: true), 384: value(2)]
  }

  @Test func aSoundMapIsTakenAndApplied() throws {
    var model = SentencePieceModelTests.smallModel()
    model.pieces += ["x", "y", "z"].map { SentencePieceModel.Piece($0) }
    model.characterMap = map(sound)
    let tokenizer = try SentencePieceTokenizer(modelBytes: model.serialized(), file: "map.model")
    #expect(try tokenizer.encode("a", addSpecialTokens: false) == [3, 6, 7])
  }

  @Test func eachBrokenRuleIsNamed() {
    var cases: [(String, [UInt8])] = [
      ("expected more than 4", [0, 0, 0, 0]),
      ("whole blocks of 1024", [1, 0, 0, 0, 0]),
      ("the trie has 2048 bytes, but the map only 1", [0, 8, 0, 0, 0]),
      ("the trie has 2048 bytes, but the map only 2048", map(sound, [])),
      ("end with NUL", map(sound, Array("x\0yz".utf8))),
      ("not UTF-8 texts", map(sound, [0xFF, 0])),
      ("root is a value", map([0: value(0)])),
      ("unit 0 leads to unit 512 of 512", map([0: unit(label: 0, offset: 512)])),
      // Not on any way from the root, but of a form that no builder writes.
      ("unit 400 leads to unit", map([0: unit(label: 0, offset: 256), 400: unit(label: 1, offset: 1 << 20)])),
      ("the trie has a cycle", map([0: unit(label: 0, offset: 256), child: unit(label: 97, offset: child ^ 256)])),
    ]
    for (part, target) in [("points to byte 5 of 5", UInt32(5)), ("points to byte 1000000 of 5", 1_000_000)] {
      var units = sound
      units[384] = value(target)
      cases.append((part, map(units)))
    }
    cases.append(
      ("longer than 256 bytes", map(sound, Array(("x\0" + String(repeating: "y", count: 257) + "\0").utf8))))
    for (part, map) in cases {
      TokenizerError.expect(.malformedFile, "precompiled_charsmap", part) {
        try CharacterMap.validate(map, file: "map.model")
      }
    }
  }

  @Test(arguments: [(32, true), (33, false)])
  func atMost32RulesMayBeginOneAnother(ruleCount: Int, isAllowed: Bool) throws {
    // A chain: each "a" leads to the next block and has a value of its own.
    var units: [Int: UInt32] = [0: unit(label: 0, offset: 256)]
    for index in 1...ruleCount {
      let base = 256 * index
      let position = base ^ 97
      units[base] = value(0)
      units[position] = unit(label: 97, offset: position ^ (base + 256), hasValue: true)
    }
    units[256 * (ruleCount + 1)] = value(0)
    let map = map(units, blockCount: ruleCount + 2)
    if isAllowed {
      #expect(throws: Never.self) { try CharacterMap.validate(map, file: "map.model") }
    } else {
      TokenizerError.expect(.malformedFile, "33 rules begin one another") {
        try CharacterMap.validate(map, file: "map.model")
      }
    }
  }
}

import Foundation
import FoveaTokenizers
import Testing

/// The models and reference answers that `Tools/make-tokenizer-fixtures.py` made.
enum Fixtures {
  /// The small models.
  static let modelNames = ["bpe-bytes", "bpe-no-prefix", "bpe-suffix", "unigram-bytes", "unigram-rules"]

  /// The bundled model's folder.
  static var bundledFolder: String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Models/storyteller-15m")
      .standardizedFileURL.path
  }

  static func path(_ name: String) throws -> String {
    try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil)).appendingPathComponent(name).path
  }

  /// The bytes of a model; "storyteller" is the bundled one.
  static func modelBytes(_ name: String) throws -> [UInt8] {
    let path = name == "storyteller" ? bundledFolder + "/tokenizer.model" : try path(name + ".model")
    return try bytes(path)
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static func tokenizer(_ name: String) throws -> SentencePieceTokenizer {
    try SentencePieceTokenizer(modelBytes: modelBytes(name), file: name)
  }

  /// The values of a fixture's lines.
  static func lines<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> [Value] {
    try bytes(path(name)).split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(type, from: Data($0))
    }
  }

  /// 64-bit FNV-1a over ids, four little-endian bytes each.
  static func hash(of ids: [Int]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for id in ids {
      withUnsafeBytes(of: UInt32(id).littleEndian) {
        for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      }
    }
    return hash
  }

  /// Runs `body` with the path of a folder that holds `files`, and removes it again.
  static func withFolder<Result>(_ files: [String: [UInt8]], _ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
    for (name, bytes) in files { try Data(bytes).write(to: folder.appendingPathComponent(name)) }
    return try body(folder.path)
  }
}

/// One line of a reference fixture: a string with its ids and their text, ids alone with their text, or a text that is
/// to be repeated with the count and the hash of the ids.
struct ReferenceAnswer: Decodable {
  let text: String?
  let bytes: [UInt8]?
  let ids: [Int]?
  let decoded: String?
  let times: Int?
  let count: Int?
  let hash: String?
}

/// A seeded generator (SplitMix64), so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

extension TokenizerError {
  /// Expects `body` to throw an error of `kind` whose line holds every one of `parts`.
  static func expect(
    _ kind: Kind, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, from body: () throws -> Void
  ) {
    let error = #expect(throws: TokenizerError.self, sourceLocation: sourceLocation, performing: body)
    guard let error else { return }
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    for part in parts { #expect(error.description.contains(part), "\(error)", sourceLocation: sourceLocation) }
    #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
  }
}

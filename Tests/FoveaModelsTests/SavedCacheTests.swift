import Foundation
import FoveaCore
import FoveaModels
import FoveaSafetensors
import FoveaTestSupport
import Testing

/// A saved cache is the same cache when it comes back, or none at all.
@Suite struct SavedCacheTests {
  private func model(_ name: String, precision: Precision = .native) throws -> DecoderModel {
    try DecoderModel.load(
      folder: GoldenModel(name).folder, precision: precision, stream: ComputeStream(threadCount: 2))
  }

  private func text(_ name: String, count: Int) throws -> [Int] {
    let tokens = try GoldenModel(name).expected.tokens
    return (0..<count).map { tokens[$0 * $0 % tokens.count] }
  }

  static let cases: [(name: String, policy: CachePolicy, length: Int)] = [
    ("llama", .contiguous, 300), ("gemma3_text_caps", .contiguous, 1500), ("llama", .contiguous, 0),
    ("llama", .streaming(maxSize: 40, sinkTokens: 4), 1500), ("llama", .streaming(maxSize: 40, sinkTokens: 4), 20),
    ("gpt_oss_window", .rotating(maxSize: 9, sinkTokens: 5), 1100),
    ("phi3_long", .rotating(maxSize: 30, sinkTokens: 2), 50),
    ("llama", .rotating(maxSize: 12, sinkTokens: 2), 17_000),
  ]

  @Test("a loaded cache goes on with the bits of the saved one, also after a trim", arguments: cases)
  func roundTrip(name: String, policy: CachePolicy, length: Int) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/text.cache"
      let tokens = try text(name, count: length)
      for precision in Precision.allCases {
        let model = try model(name, precision: precision)
        let cache = try model.makeCache(policy)
        _ = try model.evaluate(tokens, cache: cache, logits: .none)
        try model.saveCache(cache, to: path)
        let loaded = try model.loadCache(from: path)
        #expect(loaded.tokens == cache.tokens && loaded.length == length && loaded.policy == policy)
        #expect(loaded.sharedLength(with: tokens + [1]) == length)
        for kept in [length, max(0, length - 7)] {
          #expect(cache.trim(to: kept) == kept && loaded.trim(to: kept) == kept)
          let next = [5, 7, 9, 11, 3, 4, 5, 6, 8]
          let expected = try model.evaluate(next, cache: cache, logits: .all).floats().map(\.bitPattern)
          let got = try model.evaluate(next, cache: loaded, logits: .all).floats().map(\.bitPattern)
          #expect(got == expected, "\(name) \(policy) \(precision), \(kept) of \(length)")
          _ = (cache.trim(to: kept), loaded.trim(to: kept))
        }
        // What was trimmed is saved trimmed.
        try model.saveCache(cache, to: path)
        let again = try model.loadCache(from: path)
        let expected = try model.evaluate([5, 7], cache: cache).floats()
        #expect(try model.evaluate([5, 7], cache: again).floats() == expected)
      }
    }
  }

  @Test("a cache that was trimmed too far back evaluates its text again after it was saved too")
  func repetition() throws {
    try withTemporaryFolder { folder in
      let model = try model("mistral_window")
      let tokens = try text("mistral_window", count: 1400)
      let cache = model.makeCache()
      _ = try model.evaluate(tokens, cache: cache, logits: .none)
      #expect(cache.trim(to: 200) == 200)
      try model.saveCache(cache, to: folder + "/a")
      let loaded = try model.loadCache(from: folder + "/a")
      let expected = try model.evaluate([4, 5], cache: cache).floats()
      #expect(try model.evaluate([4, 5], cache: loaded).floats() == expected)
    }
  }

  @Test("a file with any byte flipped, cut anywhere, or with a byte too many is refused")
  func damage() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a"
      let model = try model("llama")
      let cache = try model.makeCache(.streaming(maxSize: 12, sinkTokens: 4))
      _ = try model.evaluate(text("llama", count: 30), cache: cache, logits: .none)
      try model.saveCache(cache, to: path)
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      func refuses(_ bytes: Data, _ what: String) throws {
        try bytes.write(to: URL(fileURLWithPath: path))
        let thrown = #expect(throws: (any Error).self, "\(what)") { try model.loadCache(from: path) }
        let error = thrown as? any FoveaError
        #expect(error?.category == .badData, "\(what): \(error?.description ?? "")")
        #expect(error?.description.hasPrefix(path) == true && error?.description.contains("\n") == false)
      }
      // Every byte of the header's region, then some of the rows.
      for index in Array(0..<min(3000, whole.count)) + Array(stride(from: 3000, to: whole.count, by: 211)) {
        var damaged = whole
        damaged[index] ^= 1 << UInt8(index % 8)
        try refuses(damaged, "byte \(index)")
      }
      for length in Array(stride(from: 0, to: whole.count, by: 997)) + [7, 8, whole.count - 1] {
        try refuses(whole.prefix(length), "\(length) bytes")
      }
      try refuses(whole + [0], "a byte more")
      try whole.write(to: URL(fileURLWithPath: path))
      #expect(try model.loadCache(from: path).length == 30)
    }
  }

  @Test("files of other models, precisions and kinds are refused by name, absent ones as absent")
  func foreign() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a"
      let llama = try model("llama")
      func message(_ model: DecoderModel, _ path: String) -> (any FoveaError)? {
        #expect(throws: (any Error).self) { try model.loadCache(from: path) } as? any FoveaError
      }
      let cache = llama.makeCache()
      _ = try llama.evaluate([1, 2, 3], cache: cache, logits: .none)
      try llama.saveCache(cache, to: path)
      #expect(message(try model("llama_linear"), path)?.description.contains("another model") == true)
      #expect(message(try model("llama", precision: .float32), path)?.description.contains("precision") == true)
      let weights = try GoldenModel("llama").folder + "/model.safetensors"
      #expect(message(llama, weights)?.description.contains("no saved cache") == true)
      #expect(message(llama, weights)?.category == .badData)
      #expect(message(llama, folder + "/none")?.category == .missingInput)
      let error = #expect(throws: SafetensorsError.self) { try llama.saveCache(cache, to: folder + "/no/where") }
      #expect(error?.kind == .unwritableFile)
    }
  }
}

import FoveaCore
import FoveaModels
import Testing

/// Windowed layers keep a ring of their window and what is evaluated together: longer texts than that must come out as if
/// everything were kept.
@Suite struct WindowedCacheTests {
  /// Windows of 6 to 14 with contexts of 4096: rings of 1024 positions.
  static let names = ["mistral_window", "gemma3_text_caps", "gpt_oss_window"]

  private func text(_ golden: GoldenModel, count: Int) -> [Int] {
    (0..<count).map { golden.expected.tokens[$0 * $0 % 89] }
  }

  private func evaluate(
    _ model: DecoderModel, _ tokens: [Int], cache: KeyValueCache, chunk: Int
  ) throws -> [UInt32] {
    var logits: [Float] = []
    for first in stride(from: 0, to: tokens.count, by: chunk) {
      let part = Array(tokens[first..<min(tokens.count, first + chunk)])
      logits += try model.evaluate(part, cache: cache, logits: .all).floats()
    }
    return logits.map(\.bitPattern)
  }

  @Test("a text several times as long as the ring gives the same bits as with everything kept", arguments: names)
  func sameBits(name: String) throws {
    let golden = try GoldenModel(name)
    let tokens = text(golden, count: 2600)
    for instructionSet in InstructionSet.available where instructionSet.name != "scalar" {
      let stream = try ComputeStream(threadCount: 2, instructionSet: instructionSet)
      for precision in Precision.allCases {
        let model = try DecoderModel.load(folder: golden.folder, precision: precision, stream: stream)
        let expected = try evaluate(model, tokens, cache: model.makeCache(keepsEverything: true), chunk: tokens.count)
        for chunk in [tokens.count, 301, 1] {
          let got = try evaluate(model, tokens, cache: model.makeCache(), chunk: chunk)
          #expect(got == expected, "\(name) \(instructionSet.name) \(precision), chunks of \(chunk)")
        }
      }
    }
  }

  @Test("the memory of windowed layers stops growing at the ring", arguments: names)
  func memory(name: String) throws {
    let golden = try GoldenModel(name)
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let configuration = model.configuration
    let cache = model.makeCache()
    _ = try model.evaluate(text(golden, count: 2600), cache: cache, logits: .none)
    let rowByteCount =
      2 * configuration.keyValueHeadCount * configuration.headDimension * cache.elementType.byteCount
    let windowedCount = configuration.layers.count { $0.window != nil }
    let fullCount = configuration.layerCount - windowedCount
    #expect(windowedCount > 0 && cache.byteCount >= rowByteCount * (windowedCount * 1024 + fullCount * 2600))
    #expect(cache.byteCount <= rowByteCount * (windowedCount * 1024 + fullCount * 4096))
    #expect(model.cacheByteCount(length: 2600) == rowByteCount * (windowedCount * 1024 + fullCount * 2600))
  }

  @Test("a trimmed text goes on with the same bits, near the end and far behind what the ring keeps", arguments: names)
  func trim(name: String) throws {
    let golden = try GoldenModel(name)
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let tokens = text(golden, count: 2000)
    let cache = model.makeCache()
    _ = try model.evaluate(tokens, cache: cache, logits: .none)
    for length in [1990, 1400, 1399, 700, 3, 0] {
      cache.trim(to: length)
      #expect(cache.length == length && cache.tokens == Array(tokens[..<length]))
      let got = try model.evaluate([7, 5, 9], cache: cache, logits: .all).floats()
      let expected = try model.evaluate(
        Array(tokens[..<length]) + [7, 5, 9], cache: model.makeCache(), logits: .all)
      #expect(got == (0..<3).flatMap { expected.row(length + $0) }, "\(name) from \(length)")
      cache.trim(to: length)
      _ = try model.evaluate(Array(tokens[length..<min(tokens.count, length + 900)]), cache: cache, logits: .none)
    }
  }
}

@Suite struct LongRotaryTests {
  @Test("a text that grows past the original length, and one trimmed back, turn as if they had come in one piece")
  func crossing() throws {
    let golden = try GoldenModel("phi3_long")
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    // The original length is 24.
    let tokens = Array(golden.expected.tokens.prefix(40))
    func whole(_ count: Int) throws -> [Float] {
      try model.evaluate(Array(tokens[..<count]), cache: model.makeCache(), logits: .last).floats()
    }
    let cache = model.makeCache()
    for (index, token) in tokens.enumerated() {
      #expect(try model.evaluate([token], cache: cache).floats() == whole(index + 1), "after \(index + 1) tokens")
    }
    cache.trim(to: 20)
    #expect(try model.evaluate([tokens[20]], cache: cache).floats() == whole(21))
    #expect(cache.tokens == Array(tokens[..<21]))
  }
}

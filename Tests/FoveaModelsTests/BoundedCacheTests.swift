import Foundation
import FoveaCore
import FoveaModels
import Testing

/// Rotating and streaming caches hold a fixed number of positions: what comes out must be what their definition says,
/// however a text is cut into calls.
@Suite struct BoundedCacheTests {
  /// What transformers computes token by token; see Tools/golden/make_bounded.py.
  struct Reference: Decodable {
    let model: String
    let policy: String
    let maxSize: Int
    let sinkTokens: Int
    let tokens: [Int]
    let nll: [Double]

    enum CodingKeys: String, CodingKey {
      case model
      case policy
      case maxSize = "max_size"
      case sinkTokens = "sink_tokens"
      case tokens
      case nll
    }

    var cachePolicy: CachePolicy {
      policy == "streaming"
        ? .streaming(maxSize: maxSize, sinkTokens: sinkTokens) : .rotating(maxSize: maxSize, sinkTokens: sinkTokens)
    }
  }

  private func text(_ golden: GoldenModel, count: Int) -> [Int] {
    (0..<count).map { golden.expected.tokens[$0 * $0 % golden.expected.tokens.count] }
  }

  private func model(
    _ name: String, threadCount: Int = 2, precision: Precision = .native,
    instructionSet: InstructionSet? = nil
  ) throws -> DecoderModel {
    let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
    return try DecoderModel.load(folder: GoldenModel(name).folder, precision: precision, stream: stream)
  }

  /// The bits of all logits, the text cut into calls of `chunk` tokens.
  private func evaluate(
    _ model: DecoderModel, _ tokens: [Int], cache: KeyValueCache, chunk: Int? = nil
  ) throws -> [UInt32] {
    var logits: [Float] = []
    let chunk = chunk ?? tokens.count
    for first in stride(from: 0, to: tokens.count, by: chunk) {
      let part = Array(tokens[first..<min(tokens.count, first + chunk)])
      logits += try model.evaluate(part, cache: cache, logits: .all).floats()
    }
    return logits.map(\.bitPattern)
  }

  @Test("likelihoods are those of transformers with keys turned anew for every token")
  func equalsTransformers() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: fixture("bounded-caches.json")))
    let references = try JSONDecoder().decode([Reference].self, from: data)
    #expect(references.count == 11)
    for reference in references {
      for instructionSet in InstructionSet.available {
        let model = try model(reference.model, precision: .float32, instructionSet: instructionSet)
        let cache = try model.makeCache(reference.cachePolicy)
        let logits = try model.evaluate(Array(reference.tokens.dropLast()), cache: cache, logits: .all)
        var worst = 0.0
        for (row, (target, expected)) in zip(reference.tokens.dropFirst(), reference.nll).enumerated() {
          let row = logits.row(row).map(Double.init)
          let largest = row.max() ?? .nan
          let got = largest + log(row.reduce(0) { $0 + exp($1 - largest) }) - row[target]
          worst = max(worst, abs(got - expected).isNaN ? .infinity : abs(got - expected))
        }
        #expect(worst <= 1e-4, "\(reference.model) \(reference.cachePolicy) \(instructionSet.name): \(worst) nat")
      }
    }
  }

  /// Models with and without windows, with sinks of their own, with several rotary settings and layers without any; texts that
  /// wrap around the rings of 1024 or 1280 positions.
  static let bitCases: [(name: String, policy: CachePolicy)] = [
    ("llama", .streaming(maxSize: 40, sinkTokens: 4)), ("llama", .rotating(maxSize: 300, sinkTokens: 4)),
    ("qwen3_layers", .streaming(maxSize: 300, sinkTokens: 270)),
    ("gemma3_text_caps", .streaming(maxSize: 16, sinkTokens: 5)),
    ("gpt_oss_window", .streaming(maxSize: 8, sinkTokens: 4)), ("gpt_oss_window", .rotating(maxSize: 9, sinkTokens: 5)),
    ("smollm3_window", .streaming(maxSize: 31, sinkTokens: 1)),
  ]

  @Test("chunks of any size give the same bits on 1, 2 and 3 threads, as if rings were endless", arguments: bitCases)
  func sameBits(name: String, policy: CachePolicy) throws {
    let tokens = text(try GoldenModel(name), count: policy.bound?.maxSize == 300 ? 1350 : 1090)
    for instructionSet in InstructionSet.available {
      // Plain loops are slow: a shorter text, which fills the cache all the same.
      let tokens = instructionSet.name == "scalar" ? Array(tokens.prefix(340)) : tokens
      for precision in instructionSet == InstructionSet.available.first ? Precision.allCases : [.native] {
        var expected: [UInt32] = []
        for (threadCount, chunk) in [(1, 1), (2, 7), (3, 512), (2, tokens.count)] {
          let model = try model(
            name, threadCount: threadCount, precision: precision, instructionSet: instructionSet)
          let got = try evaluate(model, tokens, cache: model.makeCache(policy), chunk: chunk)
          if expected.isEmpty {
            expected = got
            let reference = model.makeCache(checked: policy, keepsEverything: true)
            #expect(try evaluate(model, tokens, cache: reference) == expected, "\(name) \(policy), endless rings")
          }
          #expect(
            got == expected,
            "\(name) \(policy) \(instructionSet.name) \(precision), \(threadCount) threads, chunks of \(chunk)")
        }
      }
    }
  }

  @Test("until it is full a bounded cache gives the bits of the contiguous one, and others after that")
  func untilFull() throws {
    for policy in [CachePolicy.streaming(maxSize: 50, sinkTokens: 4), .rotating(maxSize: 50, sinkTokens: 4)] {
      let model = try model("llama")
      let tokens = text(try GoldenModel("llama"), count: 60)
      let expected = try evaluate(model, tokens, cache: model.makeCache())
      let got = try evaluate(model, tokens, cache: model.makeCache(policy))
      let rowLength = model.configuration.vocabularySize
      #expect(got.prefix(50 * rowLength) == expected.prefix(50 * rowLength), "\(policy)")
      #expect(got.suffix(10 * rowLength) != expected.suffix(10 * rowLength), "\(policy)")
    }
  }

  @Test("layers whose windows end before the sinks see what they see in a contiguous cache")
  func narrowWindows() throws {
    // Windows of 9.
    let model = try model("mistral_window", precision: .float32)
    let tokens = text(try GoldenModel("mistral_window"), count: 700)
    let expected = try evaluate(model, tokens, cache: model.makeCache())
    let rowLength = model.configuration.vocabularySize
    for policy in [CachePolicy.streaming(maxSize: 13, sinkTokens: 4), .rotating(maxSize: 13, sinkTokens: 4)] {
      let got = try evaluate(model, tokens, cache: model.makeCache(policy))
      // From where it is full on, angles of a bounded cache are not rounded, and the last bits differ.
      #expect(got.prefix(13 * rowLength) == expected.prefix(13 * rowLength))
      let worst = zip(got, expected).map { abs(Float(bitPattern: $0) - Float(bitPattern: $1)) }.max() ?? .infinity
      #expect(worst <= 1e-3, "\(policy): \(worst)")
    }
  }

  @Test("texts go far beyond the context in constant memory, and a repeated one gives the same logits everywhere")
  func endless() throws {
    let model = try model("llama", precision: .float32)
    let policy = CachePolicy.streaming(maxSize: 64, sinkTokens: 0)
    // Without sinks a streaming cache sees nothing but the latest tokens: a text that repeats itself gives the same
    // logits at every distance from its beginning, but for rounding.
    let period = text(try GoldenModel("llama"), count: 128)
    let cache = try model.makeCache(policy)
    for _ in 0..<9 { _ = try model.evaluate(period, cache: cache, logits: .none) }
    let expected = try model.evaluate(period, cache: cache, logits: .last).floats()
    let byteCount = cache.byteCount
    let repeated = Array(repeating: period, count: 70).flatMap { $0 }
    for _ in 0..<2 { _ = try model.evaluate(repeated, cache: cache, logits: .none) }
    let got = try model.evaluate(period, cache: cache, logits: .last).floats()
    let worst = zip(got, expected).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst <= 1e-4, "\(worst)")
    #expect(cache.byteCount == byteCount && cache.length == 128 * 151 && cache.tokens.count <= 2 * 8192)
    #expect(cache.sharedLength(with: Array(repeating: period, count: 151).flatMap { $0 } + [1]) == cache.length)
    #expect(cache.sharedLength(with: [1] + period) == 0)
  }

  @Test("a trimmed cache goes on with the same bits near its end, and begins anew where it cannot")
  func trim() throws {
    for policy in [CachePolicy.streaming(maxSize: 40, sinkTokens: 4), .rotating(maxSize: 40, sinkTokens: 4)] {
      let model = try model("llama")
      let tokens = text(try GoldenModel("llama"), count: 1500)
      let cache = try model.makeCache(policy)
      _ = try model.evaluate(tokens, cache: cache, logits: .none)
      for length in [1490, 1300, 600, 41, 3, 0] {
        #expect(cache.trim(to: length) == length)
        let got = try evaluate(model, [7, 5, 9], cache: cache)
        let expected = try model.evaluate(
          Array(tokens[..<length]) + [7, 5, 9], cache: model.makeCache(policy), logits: .all)
        #expect(got == (0..<3).flatMap { expected.row(length + $0) }.map(\.bitPattern), "\(policy) from \(length)")
        cache.trim(to: length)
      }
      // So long a text is not known from its beginning on.
      for _ in 0..<12 { _ = try model.evaluate(tokens, cache: cache, logits: .none) }
      #expect(cache.length == 18_000 && cache.tokens.count < 18_000)
      #expect(cache.trim(to: 17_900) == 17_900)
      #expect(cache.trim(to: 9000) == 0 && cache.length == 0 && cache.tokens.isEmpty)
      let again = try evaluate(model, Array(tokens.prefix(100)), cache: cache)
      #expect(try again == evaluate(model, Array(tokens.prefix(100)), cache: model.makeCache(policy)))
    }
  }

  @Test("a copy and its original go separate ways")
  func copy() throws {
    let model = try model("llama")
    let tokens = text(try GoldenModel("llama"), count: 1200)
    for policy in [CachePolicy.contiguous, .streaming(maxSize: 40, sinkTokens: 4)] {
      let start = policy == .contiguous ? 100 : 1100
      let cache = try model.makeCache(policy)
      _ = try model.evaluate(Array(tokens[..<start]), cache: cache, logits: .none)
      let copy = cache.copy()
      let other = try evaluate(model, [9, 8, 7, 6, 5], cache: cache)
      let rest = Array(tokens[start..<start + 40])
      let got = try evaluate(model, rest, cache: copy)
      let whole = try model.makeCache(policy)
      _ = try model.evaluate(Array(tokens[..<start]), cache: whole, logits: .none)
      #expect(try got == evaluate(model, rest, cache: whole), "\(policy)")
      #expect(copy.tokens == Array(tokens[..<(start + 40)]) && cache.tokens.suffix(5) == [9, 8, 7, 6, 5])
      cache.trim(to: start)
      #expect(try other == evaluate(model, [9, 8, 7, 6, 5], cache: cache))
    }
  }

  @Test("sizes that do not go together, or not with the model, are refused by name")
  func refusals() throws {
    let llama = try model("llama")
    for policy in [
      CachePolicy.streaming(maxSize: 0, sinkTokens: 0), .rotating(maxSize: 4, sinkTokens: 4),
      .streaming(maxSize: 513, sinkTokens: 4), .rotating(maxSize: 10, sinkTokens: -1),
    ] {
      let error = #expect(throws: ModelError.self) { try llama.makeCache(policy) }
      #expect(error?.kind == .invalidCacheSize && error?.category == .usage, "\(policy)")
    }
    let dynamic = try model("llama_dynamic")
    let error = #expect(throws: ModelError.self) {
      try dynamic.makeCache(.streaming(maxSize: 129, sinkTokens: 4))
    }
    #expect(error?.kind == .unsupportedFeature && error?.message.contains("'dynamic'") == true)
    #expect(try dynamic.makeCache(.streaming(maxSize: 128, sinkTokens: 4)).lengthLimit == nil)
    #expect(try dynamic.makeCache(.rotating(maxSize: 200, sinkTokens: 4)).lengthLimit == nil)
  }
}

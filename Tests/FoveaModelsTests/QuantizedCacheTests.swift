import FoveaCore
import FoveaModels
import FoveaTestSupport
import Testing

/// Caches in codes: exact for any cut of the text and near to the full one.
@Suite struct QuantizedCacheTests {
  static let quantizations = [(8, 32), (8, 64), (4, 32), (4, 64)]

  private func text(_ golden: GoldenModel, count: Int) -> [Int] {
    (0..<count).map { golden.expected.tokens[$0 * $0 % golden.expected.tokens.count] }
  }

  private func evaluate(
    _ model: DecoderModel, _ tokens: [Int], cache: KeyValueCache, chunk: Int? = nil
  ) throws -> [Float] {
    var logits: [Float] = []
    let chunk = chunk ?? tokens.count
    for first in stride(from: 0, to: tokens.count, by: chunk) {
      let part = Array(tokens[first..<min(tokens.count, first + chunk)])
      logits += try model.evaluate(part, cache: cache, logits: .all).floats()
    }
    return logits
  }

  @Test(
    "the same bits for any chunks and number of threads, whole, windowed, rotating and streaming",
    arguments: ["llama", "mistral_window", "gemma3_text_caps"])
  func sameBits(name: String) throws {
    let golden = try GoldenModel(name)
    let sets = InstructionSet.available.filter { $0.name != "scalar" }
    for (setIndex, instructionSet) in sets.enumerated() {
      for (precisionIndex, precision) in Precision.allCases.enumerated() {
        func load(_ threadCount: Int) throws -> DecoderModel {
          try DecoderModel.load(
            folder: golden.folder, precision: precision,
            stream: ComputeStream(threadCount: threadCount, instructionSet: instructionSet))
        }
        let (model, single) = (try load(2), try load(1))
        // Three whole blocks and a part of one.
        let length = min(900, model.configuration.contextLength)
        let tokens = text(golden, count: length)
        let policies = [
          CachePolicy.contiguous, .rotating(maxSize: min(700, length), sinkTokens: 4),
          .streaming(maxSize: min(700, length), sinkTokens: 4),
        ]
        // All of them on the best instruction set, one each on the others, which take their time.
        for (index, policy) in policies.enumerated()
        where setIndex == 0 || index == (setIndex + precisionIndex) % policies.count {
          let (bits, groupSize) = Self.quantizations[(index + (precision == .native ? 0 : 1)) % 4]
          let quantization = try CacheQuantization(bits: bits, groupSize: groupSize)
          let whole = try evaluate(
            model, tokens,
            cache: model.makeCache(
              checked: policy, format: CacheFormat(quantization: quantization), keepsEverything: true))
          for (other, chunk) in [(single, length), (model, 301), (model, setIndex == 0 ? 1 : 7)] {
            let got = try evaluate(
              other, tokens, cache: other.makeCache(policy, format: CacheFormat(quantization: quantization)),
              chunk: chunk)
            let what = "\(name) \(instructionSet.name) \(precision) \(policy) \(quantization), chunks of \(chunk)"
            // Not inside the macro, which would look for the difference of two long arrays for minutes.
            let isSame = got.map(\.bitPattern) == whole.map(\.bitPattern)
            #expect(isSame, "\(what)")
          }
        }
      }
    }
  }

  @Test("a trimmed text goes on with the same bits, and a copy with memory of its own")
  func trimAndCopy() throws {
    let golden = try GoldenModel("mistral_window")
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let tokens = text(golden, count: 1500)
    let quantization = try CacheQuantization(bits: 4)
    func makeCache() throws -> KeyValueCache {
      try model.makeCache(.contiguous, format: CacheFormat(quantization: quantization))
    }
    let cache = try makeCache()
    _ = try model.evaluate(tokens, cache: cache, logits: .none)
    for length in [1490, 1025, 1024, 1000, 300, 3, 0] {
      cache.trim(to: length)
      let copy = cache.copy()
      let expected = try model.evaluate(Array(tokens[..<length]) + [7, 5, 9], cache: makeCache(), logits: .last)
      for cache in [copy, cache] {
        #expect(try model.evaluate([7, 5, 9], cache: cache, logits: .last).floats() == expected.floats(), "\(length)")
      }
      cache.trim(to: length)
      _ = try model.evaluate(Array(tokens[length..<min(tokens.count, length + 900)]), cache: cache, logits: .none)
    }
  }

  @Test("logits of the bundled model are near to those of the full cache, nearer with 8 bits, in less memory")
  func nearToFull() throws {
    let model = try DecoderModel.load(folder: BundledModelTests.folder, stream: ComputeStream(threadCount: 2))
    let count = model.configuration.contextLength
    let tokens = (0..<count).map { 3 + $0 * 7919 % 200 }
    func losses(_ quantization: CacheQuantization?) throws -> (losses: [Double], byteCount: Int) {
      let cache = try model.makeCache(.contiguous, format: CacheFormat(quantization: quantization))
      let logits = try model.evaluate(Array(tokens.dropLast()), cache: cache, logits: .all)
      return (model.negativeLogLikelihoods(logits: logits, targets: tokens[1...]), cache.byteCount)
    }
    let full = try losses(nil)
    for (bits, limit) in [(8, 0.02), (4, 0.3)] {
      let coded = try losses(CacheQuantization(bits: bits))
      // The first block has nothing in codes before it.
      #expect(coded.losses[..<255] == full.losses[..<255])
      let errors = zip(coded.losses, full.losses).dropFirst(256).map { abs($0 - $1) }
      let mean = errors.reduce(0, +) / Double(errors.count)
      #expect(mean > 0 && mean <= limit, "\(bits) bits: \(mean)")
    }
  }

  @Test("a saved cache goes on with the same bits, also after a trim; one of another form is refused")
  func saved() throws {
    let golden = try GoldenModel("mistral_window")
    func load(_ format: CacheFormat) throws -> DecoderModel {
      try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2), cacheFormat: format)
    }
    let format = CacheFormat(quantization: try CacheQuantization(bits: 4))
    let model = try load(format)
    try withTemporaryFolder { folder in
      let path = folder + "/text.cache"
      for policy in [
        CachePolicy.contiguous, .rotating(maxSize: 700, sinkTokens: 4), .streaming(maxSize: 300, sinkTokens: 4),
      ] {
        for length in [0, 200, 1400, 2600] {
          let tokens = text(golden, count: length)
          let cache = try model.makeCache(policy)
          #expect(cache.format == format)
          _ = try model.evaluate(tokens, cache: cache, logits: .none)
          try model.saveCache(cache, to: path)
          let loaded = try model.loadCache(from: path)
          for kept in [length, max(0, length - 7), max(0, length - 260)] {
            #expect(cache.trim(to: kept) == loaded.trim(to: kept))
            let got = try model.evaluate([5, 7, 9], cache: loaded, logits: .all).floats()
            let expected = try model.evaluate([5, 7, 9], cache: cache, logits: .all).floats()
            #expect(got.map(\.bitPattern) == expected.map(\.bitPattern), "\(policy), \(kept) of \(length)")
          }
          for other in [CacheFormat(), CacheFormat(quantization: try CacheQuantization(bits: 8))] {
            let error = #expect(throws: ModelError.self) { try load(other).loadCache(from: path) }
            #expect(error?.kind == .invalidCacheFile && error?.message.contains("4 bits") == true, "\(error as Any)")
          }
        }
      }
    }
  }

  @Test("a long text takes little more than its codes")
  func memory() throws {
    let golden = try GoldenModel("mistral_window")
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let configuration = model.configuration
    for (bits, groupSize) in Self.quantizations {
      let quantization = try CacheQuantization(bits: bits, groupSize: groupSize)
      let cache = try model.makeCache(
        .rotating(maxSize: 2048, sinkTokens: 4), format: CacheFormat(quantization: quantization))
      _ = try model.evaluate(text(golden, count: 4000), cache: cache, logits: .none)
      let padded = (configuration.headDimension + 15) / 16 * 16
      let row = configuration.keyValueHeadCount * padded
      // 768 rows and 4 in full, and up to 11 blocks in codes with 4 bytes a group.
      let rowBytes = 2 * 772 * row * cache.elementType.byteCount
      let codeBytes = 11 * 256 * row * (2 * bits + 8 * 32 / 16) / 8
      #expect(cache.byteCount <= configuration.layerCount * (rowBytes + codeBytes))
      let before = cache.byteCount
      _ = try model.evaluate(text(golden, count: 3000), cache: cache, logits: .none)
      #expect(cache.byteCount == before)
    }
  }

  @Test("bits and sizes of groups that there are not are refused by name")
  func refusals() {
    #expect(throws: ModelError.self) { try CacheQuantization(bits: 5) }
    #expect(throws: ModelError.self) { try CacheQuantization(bits: 8, groupSize: 48) }
  }
}

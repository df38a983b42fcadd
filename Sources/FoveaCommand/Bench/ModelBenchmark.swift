import Fovea
import FoveaCore

/// One test of `fovea bench model`, in the notation of llama-bench.
struct ModelTest: CustomStringConvertible, Sendable {
  enum Kind: String, Encodable {
    case prompt = "pp"
    case generation = "tg"
  }

  let kind: Kind
  /// Tokens that are timed.
  let count: Int
  /// Tokens that are in the cache before.
  let depth: Int

  var description: String { "\(kind.rawValue)\(count)" + (depth > 0 ? " @ d\(depth)" : "") }

  static func all(promptLengths: [Int], generatedCounts: [Int], depths: [Int]) -> [ModelTest] {
    depths.flatMap { depth in
      promptLengths.filter { $0 > 0 }.map { ModelTest(kind: .prompt, count: $0, depth: depth) }
        + generatedCounts.filter { $0 > 0 }.map { ModelTest(kind: .generation, count: $0, depth: depth) }
    }
  }
}

/// A loaded model, with what its tests cost at least.
struct ModelBenchmark: Sendable {
  let folder: String
  let model: DecoderModel
  let loadSeconds: Double

  /// The last part of the folder's path.
  var name: String { folder.split(separator: "/").last.map(String.init) ?? folder }

  /// Loads the model twice and counts the second time, when its files are in memory; then checks its arithmetic.
  static func load(
    folder: String, precision: Precision, stream: ComputeStream, cacheFormat: CacheFormat
  ) async throws -> ModelBenchmark {
    let progress = ProgressLine("loading \(folder)")
    defer { progress.finish() }
    return try await stream.perform {
      _ = try DecoderModel.load(folder: folder, precision: precision, stream: stream)
      let clock = ContinuousClock()
      let start = clock.now
      let model = try DecoderModel.load(
        folder: folder, precision: precision, stream: stream, cacheFormat: cacheFormat)
      let benchmark = ModelBenchmark(folder: folder, model: model, loadSeconds: (clock.now - start) / .seconds(1))
      try benchmark.check()
      return benchmark
    }
  }

  /// Tokens at once and one by one must give the same logits, and finite ones.
  ///
  /// - Throws: `CommandError` of category `internalFault`.
  private func check() throws {
    let tokens = randomTokens(8)
    let whole = try model.evaluate(tokens, cache: model.makeCache()).floats()
    let cache = model.makeCache()
    var single: [Float] = []
    for token in tokens { single = try model.evaluate([token], cache: cache).floats() }
    guard whole == single, whole.allSatisfy(\.isFinite) else {
      throw CommandError(.internalFault, "\(folder): eight tokens at once and one by one differ in their logits")
    }
  }

  /// - Throws: `CommandError` of category `usage` if a test needs a longer context than the model's.
  func checkContext(of tests: [ModelTest]) throws {
    let limit = model.configuration.contextLength
    for test in tests where test.depth + test.count > limit {
      throw CommandError(.usage, "\(test) needs \(test.depth + test.count) positions, \(name) has \(limit)")
    }
  }

  /// The seconds of every repetition of `test`, after one that is not counted; of generation in turns with reading weights.
  func times(of test: ModelTest, repetitions: Int, progress: (Int) -> Void) throws -> TimesBesideReading {
    let cache = model.makeCache()
    if test.depth > 0 { _ = try model.evaluate(randomTokens(test.depth), cache: cache, logits: .none) }
    let tokens = randomTokens(test.count)
    let clock = ContinuousClock()
    let reader = MemoryReader(test.kind == .generation ? model.weightTensors : [])
    var result = TimesBesideReading()
    for repetition in 0...repetitions {
      cache.trim(to: test.depth)
      let start = clock.now
      switch test.kind {
      case .prompt: _ = try model.evaluate(tokens, cache: cache)
      case .generation: for token in tokens { _ = try model.evaluate([token], cache: cache) }
      }
      let seconds = (clock.now - start) / .seconds(1)
      progress(repetition)
      if repetition > 0 { result.add(seconds, thenReading: reader, on: model.stream) }
    }
    return result
  }

  func randomTokens(_ count: Int) -> [Int] {
    var generator = RandomGenerator(seed: UInt64(count))
    return (0..<count).map { _ in Int.random(in: 0..<model.configuration.vocabularySize, using: &generator) }
  }

  // MARK: What a test costs at least

  /// Bytes that a generated token reads on average: the weights, and keys and values of the positions before.
  func bytesPerToken(of test: ModelTest) -> Double {
    let positions = Double(test.depth) + Double(test.count) / 2
    if model.cacheFormat.quantization != nil {
      return Double(model.weightByteCountPerToken + model.cacheByteCountRead(at: Int(positions)))
    }
    return Double(model.weightByteCountPerToken) + positions * Double(model.cacheByteCountPerPosition)
  }

  /// Multiplications and additions of all of the test's tokens. Of a prompt only the last token's logits are computed, and
  /// of what only logits need, only the last token's.
  func operationCount(of test: ModelTest) -> Double {
    let configuration = model.configuration
    let count = Double(test.count)
    let positions = Double(test.depth) + (count + 1) / 2
    let layerCount = Double(configuration.layerCount)
    let attentionPerKey = 2 * Double(configuration.headCount * configuration.headDimension)
    var products = count * Double(model.multiplicationCountPerToken)
    var keysSeen = layerCount * count * positions
    if test.kind == .prompt {
      products -= (count - 1) * Double(model.multiplicationCountForLogits)
      keysSeen += Double(test.depth) + count - count * positions
    }
    return 2 * (products + attentionPerKey * keysSeen)
  }
}

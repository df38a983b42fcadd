import Fovea
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite struct SamplerTests {
  // The cuts, each alone and together; 5000 is more than the vocabulary.
  static let cuts: [SamplingOptions] = [
    SamplingOptions(temperature: 1),
    SamplingOptions(temperature: 0.3),
    SamplingOptions(temperature: 2.5),
    SamplingOptions(temperature: 0.7, topK: 40),
    SamplingOptions(temperature: 1, topK: 1),
    SamplingOptions(temperature: 1, topK: 5000),
    SamplingOptions(temperature: 1, topP: 0.9),
    SamplingOptions(temperature: 1, topP: 1e-9),
    SamplingOptions(temperature: 0.8, topK: 50, topP: 0.95),
    SamplingOptions(temperature: 1, topK: 5000, topP: 0.5),
    SamplingOptions(temperature: 1, minP: 0.05),
    SamplingOptions(temperature: 1.5, topK: 100, topP: 0.9, minP: 0.1),
    SamplingOptions(temperature: 1.2, topP: 0.99, minP: 0.02),
    SamplingOptions(temperature: 1, minP: 1),
  ]

  @Test(arguments: cuts, [1, 5, 997])
  func drawsAsTheReferenceDoes(options: SamplingOptions, vocabularySize: Int) throws {
    var options = options
    options.seed = 11
    var sampler = try Sampler(options, vocabularySize: vocabularySize)
    var random = RandomGenerator(seed: 11)
    for round in 0..<300 {
      let logits = spikyLogits(vocabularySize, seed: UInt64(round))
      let expected = referenceDraw(logits, options, &random)
      let choice = try sampler.choose(logits)
      #expect(choice.token == expected.token, "round \(round)")
      let difference = abs(choice.logProbability - expected.logProbability)
      #expect(difference <= 2e-6, "round \(round): \(choice.logProbability), expected \(expected.logProbability)")
    }
  }

  @Test(arguments: cuts)
  func threadsDrawTheSameOfALargeVocabulary(options: SamplingOptions) throws {
    var options = options
    options.seed = 12
    let vocabularySize = 20_011
    let streams = try [nil] + [1, 2, 3, 7].map { try ComputeStream(threadCount: $0) }
    var samplers = try streams.map { try Sampler(options, vocabularySize: vocabularySize, stream: $0) }
    var random = RandomGenerator(seed: 12)
    for round in 0..<20 {
      let logits = spikyLogits(vocabularySize, seed: UInt64(round))
      let expected = referenceDraw(logits, options, &random)
      let choices = try samplers.indices.map { try samplers[$0].choose(logits) }
      #expect(choices[0].token == expected.token, "round \(round)")
      #expect(abs(choices[0].logProbability - expected.logProbability) <= 2e-6, "round \(round)")
      #expect(choices.allSatisfy { $0 == choices[0] }, "round \(round)")
    }
  }

  @Test(arguments: [0, 5000, 20_010], [Float.nan, .infinity])
  func oneUnusableLogitOfALargeVocabularyIsAnError(token: Int, value: Float) throws {
    var logits = spikyLogits(20_011, seed: 1)
    logits[token] = value
    var sampler = try Sampler(SamplingOptions(temperature: 1), vocabularySize: 20_011, stream: .shared)
    #expect(throws: GenerationError.noUsableLogits(position: 0)) { try sampler.choose(logits) }
  }

  @Test func drawsEachTokenAsOftenAsItsProbabilitySays() throws {
    let logits: [Float] = [2, 1, 0, -1, -2]
    var sampler = try Sampler(SamplingOptions(temperature: 1, seed: 3), vocabularySize: 5)
    var counts = [Int](repeating: 0, count: 5)
    let drawCount = 100_000
    for _ in 0..<drawCount { counts[try sampler.choose(logits).token] += 1 }
    let total = logits.reduce(0) { $0 + exp(Double($1)) }
    for (token, count) in counts.enumerated() {
      let probability = exp(Double(logits[token])) / total
      let deviation = abs(Double(count) - probability * Double(drawCount))
      #expect(deviation <= 4 * (Double(drawCount) * probability * (1 - probability)).squareRoot(), "token \(token)")
    }
  }

  @Test func greedyTakesTheLowestIdAmongEquals() throws {
    var sampler = try Sampler(SamplingOptions(), vocabularySize: 6)
    #expect(try sampler.choose([0, 3, 1, 3, 3, -1]).token == 1)
    #expect(try sampler.choose([-5, -5, -5, -5, -5, -5]).token == 0)
  }

  @Test func topKTakesLowerIdsAmongEquals() throws {
    var sampler = try Sampler(SamplingOptions(temperature: 1, topK: 2, seed: 1), vocabularySize: 5)
    var seen: Set<Int> = []
    for _ in 0..<200 { seen.insert(try sampler.choose([1, 1, 1, 1, 1]).token) }
    #expect(seen == [0, 1])
  }

  @Test(arguments: [1e-300, 1e-40, 1e-6])
  func theSmallestTemperaturesAreGreedy(temperature: Double) throws {
    var sampler = try Sampler(SamplingOptions(temperature: temperature, seed: 1), vocabularySize: 4)
    for _ in 0..<20 { #expect(try sampler.choose([0, 1, 2, 1.5]).token == 2) }
  }

  @Test func repetitionPenaltyDividesPositiveAndMultipliesNegativeLogits() throws {
    // 4 / 2 = 2 falls below 2.5.
    #expect(try penalised([4, 2.5, 0], prompt: [0]) { $0.repetitionPenalty = 2 } == 1)
    // 3 / 2 = 1.5 stays above 1; twice in the prompt counts once.
    #expect(try penalised([3, 1, 0], prompt: [0, 0]) { $0.repetitionPenalty = 2 } == 0)
    // -1 · 3 = -3 falls below -2.
    #expect(try penalised([-1, -2, -9], prompt: [0]) { $0.repetitionPenalty = 3 } == 1)
    // A window of 1 sees token 2 only; a window of 0 nothing.
    for window in [1, 0] {
      #expect(
        try penalised([4, 3, 0], prompt: [0, 2]) {
          $0.repetitionPenalty = 2
          $0.repetitionWindow = window
        } == 0)
    }
  }

  @Test func frequencyAndPresenceCountGeneratedTokensOnly() throws {
    var options = SamplingOptions()
    options.frequencyPenalty = 0.5
    options.presencePenalty = 0.25
    var sampler = try Sampler(options, vocabularySize: 2, prompt: [0, 0, 0])
    // Token 0 leads by 1.5: 1.5, then 1.5 − 0.75, then 1.5 − 1.25, then 1.5 − 1.75 < 0.
    let tokens = try (0..<4).map { _ in try sampler.choose([1.5, 0]).token }
    #expect(tokens == [0, 0, 0, 1])
  }

  @Test func biasForbidsAndForcesButLogProbabilityIsTheModels() throws {
    var options = SamplingOptions(temperature: 1, seed: 1)
    options.logitBias = [0: -.infinity, 2: 200]
    var sampler = try Sampler(options, vocabularySize: 3)
    let choice = try sampler.choose([5, 4, 0])
    #expect(choice.token == 2)
    #expect(abs(choice.logProbability + log(exp(5.0) + exp(4) + 1)) <= 2e-6)
  }

  @Test func forbiddenTokensAreNeverDrawn() throws {
    var options = SamplingOptions(temperature: 100, seed: 1)
    options.logitBias = [1: -.infinity, 3: -.infinity]
    var sampler = try Sampler(options, vocabularySize: 5)
    for _ in 0..<500 { #expect([0, 2, 4].contains(try sampler.choose([0, 0, 0, 0, 0]).token)) }
  }

  @Test(arguments: [[0, Float.nan], [.nan, .nan], [.infinity, 0], [-.infinity, -.infinity]])
  func unusableLogitsAreAnError(logits: [Float]) throws {
    for temperature in [0.0, 1.0] {
      var sampler = try Sampler(SamplingOptions(temperature: temperature), vocabularySize: 2, prompt: [1, 1])
      #expect(throws: GenerationError.noUsableLogits(position: 2)) { try sampler.choose(logits) }
    }
  }

  @Test func optionsOutOfRangeAreNamed() {
    func expectInvalid(_ name: String, _ change: (inout SamplingOptions) -> Void) {
      var options = SamplingOptions()
      change(&options)
      #expect {
        try options.validate()
      } throws: { error in
        if case GenerationError.invalidOption(name, _, _) = error { true } else { false }
      }
    }
    expectInvalid("temperature") { $0.temperature = -0.1 }
    expectInvalid("temperature") { $0.temperature = .nan }
    expectInvalid("topK") { $0.topK = -1 }
    expectInvalid("topP") { $0.topP = 0 }
    expectInvalid("topP") { $0.topP = 1.01 }
    expectInvalid("minP") { $0.minP = 2 }
    expectInvalid("repetitionPenalty") { $0.repetitionPenalty = 0 }
    expectInvalid("repetitionWindow") { $0.repetitionWindow = -1 }
    expectInvalid("frequencyPenalty") { $0.frequencyPenalty = .infinity }
    expectInvalid("presencePenalty") { $0.presencePenalty = .nan }
    expectInvalid("logitBias") { $0.logitBias = [1: .infinity] }
  }

  @Test func biasOfAnUnknownTokenIsRefused() {
    var options = SamplingOptions()
    options.logitBias = [7: 1]
    #expect(throws: GenerationError.tokenOutOfVocabulary(token: 7, vocabularySize: 7)) {
      try Sampler(options, vocabularySize: 7)
    }
  }

  private func penalised(
    _ logits: [Float], prompt: [Int], _ change: (inout SamplingOptions) -> Void
  ) throws -> Int {
    var options = SamplingOptions()
    change(&options)
    var sampler = try Sampler(options, vocabularySize: logits.count, prompt: prompt)
    return try sampler.choose(logits).token
  }
}

import Fovea
import FoveaCore

/// Where the time of a test goes, phase by phase.
struct ModelProfile: Encodable, Sendable {
  struct Phase: Encodable, Sendable {
    let phase: String
    /// Of the test's time.
    let share: Double
    /// Of the phase's time, how much of it the threads spent computing rather than waiting or handing out work.
    let busy: Double
  }

  let phases: [Phase]
  /// What the threads did not compute in, of all phases together.
  let waitingShare: Double

  init(_ profile: PhaseProfile) {
    let total = ComputePhase.allCases.reduce(0.0) { $0 + Double(profile.wallNanoseconds($1)) }
    let work = ComputePhase.allCases.reduce(0.0) { $0 + Double(profile.workNanoseconds($1)) }
    waitingShare = total > 0 ? 1 - work / (total * Double(profile.threadCount)) : 0
    phases = ComputePhase.allCases.compactMap { phase in
      let wall = Double(profile.wallNanoseconds(phase))
      guard wall > 0 else { return nil }
      let busy = Double(profile.workNanoseconds(phase)) / (wall * Double(profile.threadCount))
      return Phase(phase: phase.name, share: wall / total, busy: busy)
    }.sorted { $0.share > $1.share }
  }

  /// The phases for people, largest first.
  var table: String {
    let rows = phases.map { phase in
      (
        name: "    " + phase.phase,
        value: "\(fixed(phase.share * 100, 1)) %, threads computing \(fixed(phase.busy * 100, 0)) % of it"
      )
    }
    return tableText(rows + [("    barriers and serial code", "\(fixed(waitingShare * 100, 1)) % of all")])
  }
}

extension ComputePhase {
  /// What the phase is called in reports.
  var name: String {
    switch self {
    case .outputProjection: "output projection"
    case .feedForward: "feed-forward"
    case .positions: "positions and cache"
    default: String(describing: self)
    }
  }
}

extension ModelBenchmark {
  /// One more repetition of `test`, measured phase by phase; generation chooses its tokens greedily.
  func profile(_ test: ModelTest) throws -> ModelProfile {
    let profile = PhaseProfile(threadCount: model.stream.threadCount)
    let cache = model.makeCache()
    if test.depth > 0 { _ = try model.evaluate(randomTokens(test.depth), cache: cache, logits: .none) }
    let tokens = randomTokens(test.count)
    var sampler = try Sampler(
      SamplingOptions(temperature: 0), vocabularySize: model.configuration.vocabularySize, stream: model.stream)
    try model.stream.run(measuring: profile) {
      guard test.kind == .generation else {
        _ = try model.evaluate(tokens, cache: cache)
        return
      }
      var token = tokens[0]
      for _ in tokens {
        let logits = try model.evaluate([token], cache: cache)
        model.stream.begin(.sampling)
        token = try sampler.choose(logits).token
        model.stream.begin(.other)
      }
    }
    return ModelProfile(profile)
  }
}

import Fovea

/// One line of what `fovea score` writes. Log-probabilities are in nats.
enum ScoreResponse {
  struct Continuation: Encodable {
    var id: String?
    let sum: Double
    let logProbabilities: [Double]
    let tokens: [Int]
    let isGreedy: Bool

    init(id: String?, _ request: ContinuationRequest, _ score: ContinuationScore) {
      self.id = id
      sum = score.sum
      logProbabilities = score.logProbabilities
      tokens = request.continuation
      isGreedy = score.isGreedy
    }
  }

  struct Rolling: Encodable {
    let id: String?
    let sum: Double
    let logProbabilities: [Double]
    let tokens: [Int]
    let bytes: Int?
    let words: Int?
  }

  struct Choices: Encodable {
    let id: String?
    let choices: [Continuation]
    /// The likeliest choice, the first among equals; then by log-probability a character, and a byte.
    let pick: Int
    let pickByCharacters: Int
    let pickByBytes: Int
  }

  /// The line for a request and the scores of its parts.
  static func line(_ request: ScoreRequest, _ scores: ArraySlice<ContinuationScore>) throws -> String {
    let parts = Array(zip(request.parts, scores))
    switch request.task {
    case .continuation:
      guard let (part, score) = parts.first else { return "" }
      return try jsonLine(Continuation(id: request.id, part, score))
    case .rolling(_, let size):
      return try jsonLine(
        Rolling(
          id: request.id, sum: scores.reduce(0) { $0 + $1.sum },
          logProbabilities: scores.flatMap(\.logProbabilities), tokens: request.parts.flatMap(\.continuation),
          bytes: size?.byteCount, words: size?.wordCount))
    case .choices(_, let characterCounts, let byteCounts):
      let sums = scores.map(\.sum)
      return try jsonLine(
        Choices(
          id: request.id, choices: parts.map { Continuation(id: nil, $0.0, $0.1) }, pick: firstMaximum(sums),
          pickByCharacters: firstMaximum(zip(sums, characterCounts).map { $0 / Double($1) }),
          pickByBytes: firstMaximum(zip(sums, byteCounts).map { $0 / Double($1) })))
    }
  }

  private static func firstMaximum(_ values: [Double]) -> Int {
    values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
  }
}

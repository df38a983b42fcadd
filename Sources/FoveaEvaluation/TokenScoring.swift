public import FoveaModels

extension DecoderModel {
  /// Checks tokens of which some are only predicted: those that are evaluated the model checks itself.
  func checkVocabulary(_ tokens: [Int]) throws(EvaluationError) {
    let size = configuration.vocabularySize
    if let token = tokens.first(where: { $0 < 0 || $0 >= size }) {
      throw EvaluationError(.invalidOption, "token \(token) is not in the vocabulary of \(size)")
    }
  }

  /// The negative log-likelihood, in nats, of every token given those before it: `tokens.count` − 1 values.
  ///
  /// Evaluated in chunks, so that the logits of a long text are not all held at once.
  ///
  /// - Throws: ``EvaluationError`` if a token is not in the vocabulary, ``ModelError`` if the text is longer than the context.
  public func negativeLogLikelihoods(of tokens: [Int]) throws -> [Double] {
    guard tokens.count > 1 else { return [] }
    try checkVocabulary(tokens)
    let cache = makeCache()
    var result: [Double] = []
    result.reserveCapacity(tokens.count - 1)
    let chunkLength = 256
    for first in stride(from: 0, to: tokens.count - 1, by: chunkLength) {
      let inputs = Array(tokens[first..<min(tokens.count - 1, first + chunkLength)])
      let logits = try evaluate(inputs, cache: cache, logits: .all)
      result += negativeLogLikelihoods(logits: logits, targets: tokens[(first + 1)...].prefix(inputs.count))
    }
    return result
  }
}

public import FoveaCore

/// A model that turns sequences of tokens into one hidden state a token.
///
/// Sequences are evaluated together, one behind another without padding. For one instruction set and precision the
/// states of a sequence are the same bits whatever it is evaluated together with, and for any number of threads.
public protocol TokenEncoder: Sendable {
  /// The width of a hidden state.
  var hiddenSize: Int { get }
  /// The number of token ids.
  var vocabularySize: Int { get }
  /// The most tokens of a sequence.
  var sequenceLengthLimit: Int { get }
  /// How many tokens together keep all threads busy; fewer cost speed, more cost memory.
  var standardBatchTokenCount: Int { get }
  /// Where evaluation runs.
  var stream: ComputeStream { get }

  /// Evaluates `sequences` as one operation and gives `body` hidden states after the final norm: float32, row by row,
  /// sequence after sequence, `stride` elements apart, valid until it returns.
  ///
  /// - Parameter firstRows: for each sequence the first token whose state is given; the states of those before it are
  ///   left out, and computed no further than the others need.
  /// - Throws: ``ModelError`` if a token is not in the vocabulary or a sequence is longer than the limit; what `body`
  ///   throws.
  func withHiddenStates<Result>(
    of sequences: [[Int]], from firstRows: [Int],
    _ body: (_ states: UnsafePointer<Float>, _ stride: Int) throws -> Result
  ) throws -> Result
}

extension TokenEncoder {
  /// Enough for products to run at full speed.
  public var standardBatchTokenCount: Int { 2048 }

  /// The hidden states of one sequence after the final norm, float32 `[tokens.count, hiddenSize]`.
  ///
  /// - Throws: ``ModelError`` if a token is not in the vocabulary or the sequence is longer than the limit.
  public func hiddenStates(of tokens: [Int]) throws -> Tensor {
    let result = Tensor(uninitialized: [tokens.count, hiddenSize])
    let target = result.baseAddress.assumingMemoryBound(to: Float.self)
    try withHiddenStates(of: [tokens], from: [0]) { states, stride in
      for row in tokens.indices {
        // Both have `hiddenSize` values in each of the rows.
        (target + row * hiddenSize).update(from: states + row * stride, count: hiddenSize)
      }
    }
    return result
  }

  func check(_ sequences: [[Int]]) throws(ModelError) {
    let (vocabularySize, limit) = (vocabularySize, sequenceLengthLimit)
    for sequence in sequences {
      if let token = sequence.first(where: { $0 < 0 || $0 >= vocabularySize }) {
        throw ModelError.tokenOutOfRange(token, vocabularySize: vocabularySize)
      }
      guard sequence.count <= limit else {
        throw ModelError.contextOverflow(length: sequence.count, contextLength: limit)
      }
    }
  }
}

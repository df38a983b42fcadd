internal import FoveaCore
public import FoveaModels

/// What a model has read of a text, kept from one generation to the next: a prompt that begins with it is evaluated from
/// where it differs on.
///
/// One generation at a time may use a memory. Its evaluation is used inside operations of the model's stream only, one at a
/// time: hence `@unchecked Sendable`.
public final class GenerationMemory: @unchecked Sendable {
  let evaluation: any TokenEvaluation
  private let stream: ComputeStream

  init(evaluation: any TokenEvaluation, stream: ComputeStream) {
    self.evaluation = evaluation
    self.stream = stream
  }

  /// Which positions of the text are kept.
  public var policy: CachePolicy { evaluation.policy }

  /// Writes the memory to a file that ``TextGenerator/loadMemory(from:)`` reads, replacing an old one when it is whole.
  ///
  /// It holds the prompt and the tokens generated, but for the last one, which the model has not read.
  ///
  /// - Throws: `SafetensorsError` if the system refuses to write.
  public func save(to path: String) async throws {
    try await stream.perform { try self.evaluation.save(to: path) }
  }
}

extension TextGenerator {
  /// An empty memory.
  ///
  /// - Throws: `ModelError` for a policy that the model cannot follow.
  public func makeMemory(_ policy: CachePolicy = .contiguous) throws -> GenerationMemory {
    GenerationMemory(evaluation: try evaluator.makeEvaluation(policy), stream: evaluator.stream)
  }

  /// A memory that ``GenerationMemory/save(to:)`` wrote with the same model and precision.
  ///
  /// - Throws: `ModelError` for a file that is damaged or another model's, `SafetensorsError` for one that cannot be read.
  public func loadMemory(from path: String) async throws -> GenerationMemory {
    let evaluator = evaluator
    return try await evaluator.stream.perform {
      GenerationMemory(evaluation: try evaluator.loadEvaluation(from: path), stream: evaluator.stream)
    }
  }
}

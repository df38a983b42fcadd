internal import FoveaCore
public import FoveaModels
internal import FoveaSafetensors

/// A model's predictions of an evaluation's scored tokens, from a file that ``SavedLogitsWriter`` wrote.
///
/// It is a safetensors file: `codes` U16 `[tokens, vocabularySize]`, `maximum` and `step` F32 `[tokens]` with log p =
/// maximum − step · code, `loss` F64 `[tokens]` as it was computed, `likeliest` U32 `[tokens]`; its metadata say of what.
public struct SavedLogits: Sendable {
  static let format = "fovea-saved-logits-1"

  /// What the predictions depend on, by name, as in ``EvaluationState/setup``.
  public let setup: [String: String]
  /// The number of scored tokens.
  public let tokenCount: Int
  /// The number of token ids that the model knows.
  public let vocabularySize: Int
  private let path: String
  private let codes: Tensor
  private let maxima: [Float]
  private let steps: [Float]
  let losses: [Double]
  let likeliest: [Int]

  /// Maps the file at `path`.
  ///
  /// - Throws: ``EvaluationError`` if the file cannot be read or is none of saved logits.
  public init(_ path: String) throws(EvaluationError) {
    do throws(SafetensorsError) {
      let file = try SafetensorsFile.open(path)
      guard file.metadata["format"] == Self.format else {
        throw SafetensorsError(.malformedHeader, file: path, "holds no saved logits: its format is not \(Self.format)")
      }
      let codes = try file.tensor("codes")
      guard codes.shape.count == 2, codes.elementType == .uint16 else {
        throw SafetensorsError(.wrongShape, file: path, tensor: "codes", "has shape \(codes.shape), expected U16 rows")
      }
      let count = codes.shape[0]
      setup = file.metadata.filter { $0.key != "format" }
      tokenCount = count
      vocabularySize = codes.shape[1]
      self.path = path
      self.codes = codes
      maxima = try file.tensor("maximum", shape: [count], elementTypes: [.float32]).floats()
      steps = try file.tensor("step", shape: [count], elementTypes: [.float32]).floats()
      losses = try file.tensor("loss", shape: [count], elementTypes: [.float64]).doubles()
      likeliest = try file.tensor("likeliest", shape: [count], elementTypes: [.uint32]).doubles().map { Int($0) }
    } catch {
      throw EvaluationError(
        error.category == .missingInput ? .missingFile : .malformedFile, file: path, error.message)
    }
  }

  /// Checks that the predictions are of the tokens that `evaluator` scores.
  ///
  /// - Throws: ``EvaluationError`` of kind `foreignFile` that names what differs.
  public func checkMatches(_ evaluator: WindowEvaluator) throws(EvaluationError) {
    let wanted = EvaluationState.setup(of: evaluator, modelFingerprint: "")
    for name in ["text", "method", "context length", "stride", "cache", "sink tokens"] where setup[name] != wanted[name]
    {
      throw EvaluationError(
        .foreignFile, file: path,
        "is of another evaluation: its \(name) is \(setup[name] ?? "not given"), this one's \(wanted[name] ?? "not given")"
      )
    }
    let count = evaluator.plan.windows.reduce(0) { $0 + $1.scored.count }
    guard tokenCount == count else {
      throw EvaluationError(.foreignFile, file: path, "has \(tokenCount) tokens, this evaluation scores \(count)")
    }
    let vocabularySize = evaluator.model.configuration.vocabularySize
    guard self.vocabularySize == vocabularySize else {
      throw EvaluationError(
        .foreignFile, file: path,
        "is of a model with \(self.vocabularySize) token ids, this one has \(vocabularySize)")
    }
  }

  /// The log-probabilities `[rows.count, vocabularySize]` of some tokens.
  func logits(_ rows: Range<Int>, on stream: ComputeStream) -> Tensor {
    let base = UnsafePointer(codes.baseAddress.assumingMemoryBound(to: UInt16.self)) + rows.lowerBound * vocabularySize
    let scales = rows.map { LogitCodes.Scale(maximum: maxima[$0], step: steps[$0]) }
    return withExtendedLifetime(codes) {
      LogitCodes.decode(base, scales: scales, width: vocabularySize, on: stream)
    }
  }
}

/// Writes the predictions of an evaluation as they come; the file appears when it is whole.
public final class SavedLogitsWriter {
  private var file: ReplacementFile
  private let path: String
  private let tokenCount: Int
  private var maxima: [Float] = []
  private var steps: [Float] = []
  private var losses: [Double] = []
  private var likeliest: [UInt32] = []
  private var isFinished = false

  /// Begins a file for the scored tokens of `evaluator`'s plan, replacing what is at `path` in the end.
  ///
  /// - Throws: ``EvaluationError`` if the system refuses to write.
  public init(_ path: String, evaluator: WindowEvaluator, modelFingerprint: String) throws(EvaluationError) {
    let tokenCount = evaluator.plan.windows.reduce(0) { $0 + $1.scored.count }
    var metadata = EvaluationState.setup(of: evaluator, modelFingerprint: modelFingerprint)
    metadata["format"] = SavedLogits.format
    do throws(SafetensorsError) {
      file = try ReplacementFile(path, overwriting: true)
    } catch {
      throw EvaluationError(.unwritableFile, file: path, error.message)
    }
    self.path = path
    self.tokenCount = tokenCount
    let header = SavedLogitsWriter.header(
      metadata, tokenCount: tokenCount, vocabularySize: evaluator.model.configuration.vocabularySize)
    try write(header)
  }

  deinit {
    if !isFinished { file.discard() }
  }

  /// Adds the rows of a block, which must come in the order of the plan.
  public func add(_ block: ScoredBlock, model: DecoderModel) throws(EvaluationError) {
    let tokens = model.likeliestTokens(logits: block.logits)
    let (codes, scales) = LogitCodes.encode(
      block.logits, targets: block.targets, losses: block.losses, likeliest: tokens, on: model.stream)
    maxima += scales.map(\.maximum)
    steps += scales.map(\.step)
    losses += block.losses
    likeliest += tokens.map { UInt32($0) }
    try write(codes)
  }

  /// Ends the file and gives it its name.
  ///
  /// - Throws: ``EvaluationError`` if the system refuses to write.
  public func finish() throws(EvaluationError) {
    precondition(losses.count == tokenCount, "\(losses.count) of \(tokenCount) tokens were added")
    try write(maxima)
    try write(steps)
    try write(losses)
    try write(likeliest)
    do throws(SafetensorsError) {
      try file.finish()
    } catch {
      throw EvaluationError(.unwritableFile, file: path, error.message)
    }
    isFinished = true
  }

  /// The header with the rows first, since the columns are known only after them.
  private static func header(_ metadata: [String: String], tokenCount: Int, vocabularySize: Int) -> [UInt8] {
    var offset = 0
    func entry(_ name: String, _ type: String, _ shape: [Int], width: Int) -> String {
      let end = offset + shape.reduce(width, *)
      defer { offset = end }
      let sizes = shape.map(String.init).joined(separator: ",")
      return "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":[\(sizes)],\"data_offsets\":[\(offset),\(end)]}"
    }
    // The names and values of a setup are words and numbers of our own, which need no escapes.
    let members = metadata.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\($0.value)\"" }
    let entries = [
      "\"__metadata__\":{\(members.joined(separator: ","))}",
      entry("codes", "U16", [tokenCount, vocabularySize], width: 2), entry("maximum", "F32", [tokenCount], width: 4),
      entry("step", "F32", [tokenCount], width: 4), entry("loss", "F64", [tokenCount], width: 8),
      entry("likeliest", "U32", [tokenCount], width: 4),
    ]
    var bytes = Array("{\(entries.joined(separator: ","))}".utf8)
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: (8 - bytes.count % 8) % 8)
    let length = UInt64(bytes.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + bytes
  }

  private func write<Element: BitwiseCopyable>(_ values: [Element]) throws(EvaluationError) {
    let result = values.withUnsafeBytes { bytes in
      Result { () throws(SafetensorsError) in try file.write(bytes) }
    }
    do throws(SafetensorsError) {
      try result.get()
    } catch {
      throw EvaluationError(.unwritableFile, file: path, error.message)
    }
  }
}

// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaCore
internal import FoveaGeneration
internal import FoveaModels
internal import Synchronization

extension GenerationOptions {
  /// The checked options of a call.
  init(_ pointer: UnsafePointer<fovea_generation_options>?, defaults: GenerationOptions) throws {
    self = defaults
    guard let pointer else { return }
    try checkSize(pointer, name: "the generation options")
    let given = pointer.pointee
    maximumTokens = Int(given.max_tokens)
    sampling.temperature = given.temperature
    sampling.topK = Int(given.top_k)
    sampling.topP = given.top_p
    sampling.minP = given.min_p
    sampling.repetitionPenalty = given.repetition_penalty
    sampling.repetitionWindow = given.repetition_window == -1 ? nil : Int(given.repetition_window)
    sampling.frequencyPenalty = given.frequency_penalty
    sampling.presencePenalty = given.presence_penalty
    sampling.seed = given.has_seed == 0 ? nil : given.seed
    ignoresEndOfText = given.ignore_end_of_text != 0
    let strings = try inputs(
      given.stop_strings, count: given.stop_string_count, limit: 1 << 16, name: "stop_strings")
    stopStrings = try strings.enumerated().map { try text($1, name: "stop_strings[\($0)]") }
    try validate()
  }

  /// Sets everything but the size.
  fileprivate func write(to options: inout fovea_generation_options) {
    options.max_tokens = Int64(maximumTokens)
    options.temperature = sampling.temperature
    options.top_k = Int64(sampling.topK)
    options.top_p = sampling.topP
    options.min_p = sampling.minP
    options.repetition_penalty = sampling.repetitionPenalty
    options.repetition_window = Int64(sampling.repetitionWindow ?? -1)
    options.frequency_penalty = sampling.frequencyPenalty
    options.presence_penalty = sampling.presencePenalty
    options.seed = sampling.seed ?? 0
    options.has_seed = sampling.seed == nil ? 0 : 1
    options.ignore_end_of_text = ignoresEndOfText ? 1 : 0
    options.stop_strings = nil
    options.stop_string_count = 0
  }
}

/// See fovea.h.
@c @implementation
public func fovea_model_generation_defaults(
  _ model: OpaquePointer?, _ options: UnsafeMutablePointer<fovea_generation_options>?
) -> fovea_status {
  runCall {
    let model: ModelObject = try HandleTable.object(model)
    try fill(options, name: "the generation options") { model.defaults.write(to: &$0) }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_generate(
  _ session: OpaquePointer?, _ prompt: UnsafePointer<Int32>?, _ tokenCount: Int,
  _ options: UnsafePointer<fovea_generation_options>?, _ callback: fovea_piece_callback?,
  _ userData: UnsafeMutableRawPointer?, _ summary: UnsafeMutablePointer<fovea_generation_summary>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    let call = GenerationCall(session.model, options, callback, userData, summary)
    try session.use { text in
      guard tokenCount <= text.model.configuration.contextLength else {
        throw CallFault.invalid(
          "\(UInt(bitPattern: tokenCount)) tokens were given, but the context is of "
            + "\(text.model.configuration.contextLength)")
      }
      let given = try tokens(prompt, count: tokenCount)
      try call.run(.tokens(given.isEmpty ? text.tokens : given), text)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_generate_text(
  _ session: OpaquePointer?, _ prompt: UnsafePointer<CChar>?, _ byteCount: Int,
  _ options: UnsafePointer<fovea_generation_options>?, _ callback: fovea_piece_callback?,
  _ userData: UnsafeMutableRawPointer?, _ summary: UnsafeMutablePointer<fovea_generation_summary>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    let call = GenerationCall(session.model, options, callback, userData, summary)
    let bytes = try textBytes(prompt, byteCount: byteCount, name: "prompt")
    try session.use { try call.run(.text(String(decoding: bytes, as: UTF8.self)), $0) }
  }
}

/// A call that generates, with what the caller passed.
private struct GenerationCall {
  let model: ModelObject
  let options: UnsafePointer<fovea_generation_options>?
  let callback: fovea_piece_callback?
  let userData: UnsafeMutableRawPointer?
  let summary: UnsafeMutablePointer<fovea_generation_summary>?

  init(
    _ model: ModelObject, _ options: UnsafePointer<fovea_generation_options>?, _ callback: fovea_piece_callback?,
    _ userData: UnsafeMutableRawPointer?, _ summary: UnsafeMutablePointer<fovea_generation_summary>?
  ) {
    self.model = model
    self.options = options
    self.callback = callback
    self.userData = userData
    self.summary = summary
  }

  /// Generates on the calling thread. The model's stream is free while the callback runs.
  func run(_ prompt: Prompt, _ text: SessionText) throws {
    if let summary { try checkSize(UnsafePointer(summary), name: "the summary") }
    let options = try GenerationOptions(options, defaults: model.defaults)
    let end = EndRequest()
    var lastToken: Int?
    var result: GenerationSummary?
    let session = try GenerationSession(
      prompt, options: options, evaluator: text.model, tokenizer: model.tokenizer, reusing: text,
      isCancelled: { end.isMade }
    ) { event in
      switch event {
      case .piece(let piece):
        lastToken = piece.token?.id ?? lastToken
        if !end.isMade, !emit(piece) { end.make() }
      case .finished(let summary): result = summary
      default: break
      }
    }
    while try !session.advance(for: .zero) {}
    // The last token has not been read yet; there is room for it.
    if let lastToken { _ = try text.evaluate([lastToken], wantsLogits: false) }
    guard let result else { return }
    write(result, stopStrings: options.stopStrings)
  }

  /// Shows a piece to the caller; false if the text shall end.
  private func emit(_ piece: TextPiece) -> Bool {
    guard let callback else { return true }
    return piece.text.withCString { text in
      var shown = fovea_piece(
        text: text, byte_count: piece.text.utf8.count, token: Int32(piece.token?.id ?? -1),
        log_probability: Float(piece.token?.logProbability ?? 0))
      return callback(&shown, userData) == 0
    }
  }

  private func write(_ result: GenerationSummary, stopStrings: [String]) {
    guard let summary else { return }
    let reason =
      switch result.finishReason {
      case .endOfText: FOVEA_FINISH_END_OF_TEXT
      case .stopString: FOVEA_FINISH_STOP_STRING
      case .length: FOVEA_FINISH_LENGTH
      case .cancelled: FOVEA_FINISH_CANCELLED
      }
    summary.pointee.finish_reason = fovea_finish_reason(reason)
    summary.pointee.stop_string_index = Int32(
      result.stopString.flatMap { string in stopStrings.firstIndex { $0.utf8.elementsEqual(string.utf8) } } ?? -1)
    summary.pointee.prompt_token_count = Int64(result.promptTokenCount)
    summary.pointee.generated_token_count = Int64(result.generatedTokenCount)
    summary.pointee.seed = result.seed
    summary.pointee.prompt_seconds = result.timings.prompt.seconds
    summary.pointee.generation_seconds = result.timings.generation.seconds
  }
}

/// Set once the caller wants no more.
private final class EndRequest: Sendable {
  private let flag = Atomic<Bool>(false)
  var isMade: Bool { flag.load(ordering: .relaxed) }
  func make() { flag.store(true, ordering: .relaxed) }
}

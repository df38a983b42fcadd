import CFovea
import Foundation
import FoveaGeneration
import Testing

/// What a callback saw, and what it does.
private final class Listener {
  var text = ""
  var tokens: [Int32] = []
  var logProbabilities: [Float] = []
  /// Ends the text after this many tokens.
  var limit = Int.max
  /// Called with each piece.
  var onPiece: () -> Void = {}
}

private let listen: fovea_piece_callback = { piece, userData in
  guard let piece = piece?.pointee, let userData else { return 1 }
  let listener = Unmanaged<Listener>.fromOpaque(userData).takeUnretainedValue()
  let text = String(cString: piece.text)
  listener.text += text.utf8.count == piece.byte_count ? text : "wrong byte_count"
  if piece.token >= 0 {
    listener.tokens.append(piece.token)
    listener.logProbabilities.append(piece.log_probability)
  }
  listener.onPiece()
  return listener.tokens.count >= listener.limit ? 1 : 0
}

@Suite struct GenerationTests {
  private let prompt = "Once upon a time, there was a little"

  private func options(_ model: OpaquePointer, _ change: (inout fovea_generation_options) -> Void) throws
    -> fovea_generation_options
  {
    var options = sized(fovea_generation_options(), \.struct_size)
    try check(fovea_model_generation_defaults(model, &options))
    change(&options)
    return options
  }

  private func generate(
    _ session: OpaquePointer, _ prompt: String?, _ options: fovea_generation_options, _ listener: Listener
  ) throws -> fovea_generation_summary {
    var options = options
    var summary = sized(fovea_generation_summary(), \.struct_size)
    let userData = Unmanaged.passUnretained(listener).toOpaque()
    if let prompt {
      try check(fovea_session_generate_text(session, prompt, prompt.utf8.count, &options, listen, userData, &summary))
    } else {
      try check(fovea_session_generate(session, nil, 0, &options, listen, userData, &summary))
    }
    return summary
  }

  @Test("the text, its tokens and probabilities are TextGenerator's, greedy and sampled", arguments: [0, 0.9])
  func sameText(temperature: Double) async throws {
    let generator = try await TextGenerator.load(folder: bundledModel, threadCount: 1)
    var expected = (text: "", tokens: [Int32](), probabilities: [Float](), summary: GenerationSummary?.none)
    var sampling = generator.defaultOptions.sampling
    sampling.temperature = temperature
    sampling.seed = 11
    let request = GenerationOptions(sampling: sampling, maximumTokens: 60, stopStrings: ["zzz", " One day"])
    for try await event in generator.generate(.text(prompt), options: request) {
      switch event {
      case .piece(let piece):
        expected.text += piece.text
        if let token = piece.token {
          expected.tokens.append(Int32(token.id))
          expected.probabilities.append(Float(token.logProbability))
        }
      case .finished(let summary): expected.summary = summary
      default: break
      }
    }
    let wanted = try #require(expected.summary)
    try withModel { model in
      try withSession(model) { session in
        let listener = Listener()
        let strings = (["zzz", " One day"] as [String]).map { strdup($0) }
        defer { strings.forEach { free($0) } }
        let summary = try strings.map { UnsafePointer<CChar>($0) }.withUnsafeBufferPointer { strings in
          let options = try options(model) {
            $0.temperature = temperature
            $0.max_tokens = 60
            $0.seed = 11
            $0.has_seed = 1
            $0.stop_strings = strings.baseAddress
            $0.stop_string_count = 2
          }
          return try generate(session, prompt, options, listener)
        }
        #expect(listener.text == expected.text && !listener.text.isEmpty)
        #expect(listener.tokens == expected.tokens && listener.logProbabilities == expected.probabilities)
        #expect(summary.generated_token_count == Int64(wanted.generatedTokenCount))
        #expect(summary.prompt_token_count == Int64(wanted.promptTokenCount) && summary.seed == 11)
        let stopped = wanted.finishReason == .stopString
        #expect(Int(summary.finish_reason) == (stopped ? FOVEA_FINISH_STOP_STRING : FOVEA_FINISH_LENGTH))
        #expect(summary.stop_string_index == (stopped ? 1 : -1))
        // The greedy text has the stop string, so that both ends are seen.
        #expect(stopped || temperature > 0)
        #expect(summary.prompt_seconds > 0 && summary.generation_seconds > 0)
        let held = try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) }
        #expect(Array(held.suffix(listener.tokens.count)) == listener.tokens)
        #expect(held.count == listener.tokens.count + wanted.promptTokenCount)
      }
    }
  }

  @Test("a text goes on where it ended, and a callback ends it")
  func goesOn() throws {
    try withModel { model in
      let greedy = try options(model) {
        $0.temperature = 0
        $0.max_tokens = 24
      }
      let whole = Listener()
      _ = try withSession(model) { try generate($0, prompt, greedy, whole) }
      try withSession(model) { session in
        let parts = Listener()
        parts.limit = 10
        #expect(Int(try generate(session, prompt, greedy, parts).finish_reason) == FOVEA_FINISH_CANCELLED)
        #expect(parts.tokens.count == 10)
        parts.limit = 24
        _ = try generate(session, nil, greedy, parts)
        #expect(parts.tokens == whole.tokens)
        // A prompt that the session holds the beginning of gives the same again.
        let again = Listener()
        _ = try generate(session, prompt, greedy, again)
        #expect(again.tokens == whole.tokens && again.text == whole.text)
      }
    }
  }

  @Test("inside a callback its session is busy, others are not, and freeing it is safe")
  func inside() throws {
    try withModel { model in
      var (session, other): (OpaquePointer?, OpaquePointer?)
      try check(fovea_session_create(model, &session))
      try check(fovea_session_create(model, &other))
      let listener = Listener()
      var statuses: [fovea_status] = []
      listener.onPiece = {
        var length = 0
        statuses.append(fovea_session_length(session, &length))
        statuses.append(fovea_session_evaluate(other, [7], 1, fovea_logits(FOVEA_LOGITS_NONE), nil, 0, nil))
        if listener.tokens.count == 3 { statuses.append(fovea_session_free(session)) }
      }
      let settings = try options(model) {
        $0.temperature = 0
        $0.max_tokens = 4
      }
      _ = try generate(try #require(session), prompt, settings, listener)
      let expected = [Status.busy, Status.ok]
      #expect(statuses == expected + expected + expected + [Status.ok, Status.invalidHandle, Status.ok])
      #expect(fovea_session_free(session) == Status.invalidHandle)
      try check(fovea_session_free(other))
    }
  }

  @Test("bad options and prompts give a status and a text, and leave the session as it was")
  func badArguments() throws {
    try withModel { model in
      try withSession(model) { session in
        _ = try evaluate(session, [1, 411], FOVEA_LOGITS_NONE, rows: 0)
        func status(_ change: (inout fovea_generation_options) -> Void) throws -> fovea_status {
          var options = try options(model, change)
          return fovea_session_generate_text(session, "Hi", 2, &options, nil, nil, nil)
        }
        let invalid = Status.invalidArgument
        #expect(try status { $0.struct_size = 0 } == invalid)
        #expect(try status { $0.temperature = -1 } == invalid)
        #expect(try status { $0.temperature = .nan } == invalid)
        #expect(try status { $0.top_k = -1 } == invalid)
        #expect(try status { $0.top_p = 0 } == invalid)
        #expect(try status { $0.min_p = 2 } == invalid)
        #expect(try status { $0.repetition_penalty = 0 } == invalid)
        #expect(try status { $0.repetition_window = -2 } == invalid)
        #expect(try status { $0.max_tokens = -1 } == invalid)
        #expect(lastError.contains("-1"))
        #expect(try status { $0.stop_string_count = 1 } == invalid)
        #expect(try status { $0.stop_string_count = -1 } == invalid)
        #expect(fovea_session_generate_text(session, nil, 1, nil, nil, nil, nil) == invalid)
        #expect(fovea_session_generate(session, nil, 5, nil, nil, nil, nil) == invalid)
        #expect(fovea_session_generate(session, [1], -1, nil, nil, nil, nil) == invalid)
        #expect(fovea_session_generate(session, [9000], 1, nil, nil, nil, nil) == invalid)
        #expect(fovea_session_generate(session, [1], 2000, nil, nil, nil, nil) == invalid)
        let long = [Int32](repeating: 5, count: 1025)
        #expect(fovea_session_generate(session, long, 1025, nil, nil, nil, nil) == invalid)
        var summary = fovea_generation_summary()
        #expect(fovea_session_generate(session, [1], 1, nil, nil, nil, &summary) == invalid)
        #expect(fovea_model_generation_defaults(model, nil) == invalid)
        #expect(try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) } == [1, 411])
      }
    }
  }
}

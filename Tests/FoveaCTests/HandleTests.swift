import CFovea
import Foundation
import Testing

@Suite struct HandleTests {
  typealias Call = (name: String, call: (OpaquePointer?) -> fovea_status)

  /// Calls a function whose result goes to a pointer.
  private func new<Value>(_ value: Value, _ call: (UnsafeMutablePointer<Value>) -> fovea_status) -> fovea_status {
    var value = value
    return call(&value)
  }

  /// Calls a function whose result is text.
  private func text(
    _ call: (UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>) -> fovea_status
  ) -> fovea_status {
    var buffer = [CChar](repeating: 0, count: 64)
    var count = 0
    return buffer.withUnsafeMutableBufferPointer { call($0.baseAddress, &count) }
  }

  /// Every function that takes a handle, with its other arguments as they should be.
  private var calls: [Call] {
    let none: OpaquePointer? = nil
    let noLogits = fovea_logits(FOVEA_LOGITS_NONE)
    return [
      (
        "model",
        { model in new(sized(fovea_model_properties(), \.struct_size)) { fovea_model_get_properties(model, $0) } }
      ),
      ("model", { model in new(0) { fovea_model_end_of_text_tokens(model, nil, 0, $0) } }),
      ("model", { model in new(none) { fovea_model_tokenizer(model, $0) } }),
      ("model", { model in text { fovea_model_chat_prompt(model, "[]", nil, 1, $0, 64, $1) } }),
      (
        "model",
        { model in
          new(sized(fovea_generation_options(), \.struct_size)) { fovea_model_generation_defaults(model, $0) }
        }
      ),
      ("model", { model in new(none) { fovea_session_create(model, $0) } }),
      (
        "tokenizer",
        { tokenizer in
          new(sized(fovea_tokenizer_properties(), \.struct_size)) { fovea_tokenizer_get_properties(tokenizer, $0) }
        }
      ),
      ("tokenizer", { tokenizer in new(0) { fovea_tokenizer_encode(tokenizer, "text", 4, 0, nil, 0, $0) } }),
      ("tokenizer", { tokenizer in text { fovea_tokenizer_decode(tokenizer, [5], 1, 0, $0, 64, $1) } }),
      ("tokenizer", { tokenizer in text { fovea_tokenizer_piece(tokenizer, 5, $0, 64, $1) } }),
      ("tokenizer", { tokenizer in new(none) { fovea_detokenizer_create(tokenizer, 0, $0) } }),
      ("detokenizer", { detokenizer in text { fovea_detokenizer_append(detokenizer, 5, $0, 64, $1) } }),
      ("detokenizer", { detokenizer in text { fovea_detokenizer_finish(detokenizer, $0, 64, $1) } }),
      ("session", { fovea_session_evaluate($0, [1], 1, noLogits, nil, 0, nil) }),
      ("session", { fovea_session_evaluate_tensor($0, [1], 1, noLogits, nil) }),
      ("session", { session in new(0) { fovea_session_length(session, $0) } }),
      ("session", { session in new(0) { fovea_session_tokens(session, nil, 0, $0) } }),
      ("session", { fovea_session_trim($0, 0) }),
      ("session", { fovea_session_reset($0) }),
      ("session", { fovea_session_save($0, "/nowhere/at/all") }),
      ("session", { fovea_session_restore($0, "/nowhere/at/all") }),
      ("session", { fovea_session_generate($0, [1], 1, nil, nil, nil, nil) }),
      ("session", { fovea_session_generate_text($0, "text", 4, nil, nil, nil, nil) }),
      (
        "embedder",
        { embedder in
          new(sized(fovea_embedder_properties(), \.struct_size)) { fovea_embedder_get_properties(embedder, $0) }
        }
      ),
      ("embedder", { embedder in new(0) { fovea_embedder_embed(embedder, nil, nil, 0, nil, nil, 0, $0, nil) } }),
    ]
  }

  private let frees: [Call] = [
    ("model", { fovea_model_free($0) }), ("tokenizer", { fovea_tokenizer_free($0) }),
    ("detokenizer", { fovea_detokenizer_free($0) }), ("session", { fovea_session_free($0) }),
    ("embedder", { fovea_embedder_free($0) }),
  ]

  @Test("null, made-up and real addresses are no handles of any kind")
  func garbage() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
    defer { memory.deallocate() }
    let handles =
      [OpaquePointer(memory)] + [1, 0x7fff_0000_1000, UInt.max, 1 << 57].map { OpaquePointer(bitPattern: $0) }
    for (name, call) in calls {
      #expect(call(nil) == Status.invalidHandle)
      #expect(lastError == "the \(name) is null")
      for handle in handles { #expect(call(handle) == Status.invalidHandle, "\(name) \(String(describing: handle))") }
      #expect(lastError.hasSuffix("never was a handle"))
    }
    for (name, free) in frees {
      #expect(free(nil) == Status.ok)
      for handle in handles { #expect(free(handle) == Status.invalidHandle, "\(name)") }
    }
  }

  @Test("a freed handle, and one of another kind, is refused by every function")
  func freedAndForeign() throws {
    var (model, tokenizer, detokenizer, session, embedder):
      (
        OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?
      )
    try check(fovea_model_load(bundledModel, nil, &model))
    try check(fovea_model_tokenizer(model, &tokenizer))
    try check(fovea_detokenizer_create(tokenizer, 0, &detokenizer))
    try check(fovea_session_create(model, &session))
    try check(fovea_embedder_load(bundledModel, nil, &embedder))
    let handles = [
      "model": model, "tokenizer": tokenizer, "detokenizer": detokenizer, "session": session, "embedder": embedder,
    ]
    for (name, call) in calls + frees {
      for (kind, handle) in handles where kind != name {
        #expect(call(handle) == Status.invalidHandle)
        #expect(lastError == "a \(kind) was given where a \(name) is expected")
      }
    }
    for (name, free) in frees {
      let handle = try #require(handles[name])
      #expect(free(handle) == Status.ok)
      #expect(free(handle) == Status.invalidHandle)
    }
    for (name, call) in calls {
      #expect(call(try #require(handles[name])) == Status.invalidHandle)
      #expect(lastError == "the \(name) was freed already")
    }
  }

  @Test("a session goes on after its model was freed")
  func order() throws {
    var (model, session): (OpaquePointer?, OpaquePointer?)
    try check(fovea_model_load(bundledModel, nil, &model))
    try check(fovea_session_create(model, &session))
    try check(fovea_model_free(model))
    let logits = try evaluate(try #require(session), [1, 411], FOVEA_LOGITS_LAST, rows: 1)
    #expect(logits.allSatisfy { $0.isFinite })
    try check(fovea_session_free(session))
  }

  @Test("null results, and folders that are null, absent or no models, give a status and a text")
  func loading() throws {
    var handle: OpaquePointer?
    #expect(fovea_model_load(bundledModel, nil, nil) == Status.invalidArgument)
    #expect(fovea_model_load(nil, nil, &handle) == Status.invalidArgument)
    #expect(lastError == "folder is null")
    #expect(fovea_model_load("/nowhere", nil, &handle) == Status.notFound)
    #expect(lastError.contains("/nowhere"))
    #expect(handle == nil)
    #expect(fovea_embedder_load("/nowhere", nil, &handle) == Status.notFound)
    #expect(fovea_tokenizer_load("/nowhere", &handle) == Status.notFound)
    #expect(fovea_model_load(root.path, nil, &handle) == Status.notFound)
    var options = sized(fovea_load_options(), \.struct_size) { $0.thread_count = -1 }
    #expect(fovea_model_load(bundledModel, &options, &handle) == Status.invalidArgument)
    options.thread_count = 0
    options.precision = 9
    #expect(fovea_embedder_load(bundledModel, &options, &handle) == Status.invalidArgument)
    options.struct_size = 3
    #expect(fovea_model_load(bundledModel, &options, &handle) == Status.invalidArgument)
    #expect(lastError == "struct_size of the load options is 3, expected 16")
  }
}

import CFovea
import FoveaModels
import FoveaTestSupport
import FoveaTokenizers
import Testing

@Suite struct ModelTests {
  private func string<Field>(_ field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  @Test("properties are those of the bundled model")
  func properties() throws {
    try withModel { model in
      var properties = sized(fovea_model_properties(), \.struct_size)
      try check(fovea_model_get_properties(model, &properties))
      #expect(properties.vocabulary_size == 8192 && properties.context_length == 1024)
      #expect(properties.layer_count == 8 && properties.hidden_size == 384)
      #expect(properties.head_count == 6 && properties.key_value_head_count == 2 && properties.head_dimension == 64)
      #expect(properties.parameter_count == 14_555_520 && properties.thread_count == 2)
      #expect(properties.beginning_of_text_token == 1)
      #expect(properties.has_tokenizer == 1 && properties.has_chat_template == 0)
      #expect(string(properties.model_type) == "llama" && string(properties.weight_type) == "bfloat16")
      #expect(!string(properties.instruction_set).isEmpty)
      #expect(try elements(zero: Int32(0)) { fovea_model_end_of_text_tokens(model, $0, $1, $2) } == [2])
      properties.struct_size += 8
      #expect(fovea_model_get_properties(model, &properties) == Status.invalidArgument)
      #expect(fovea_model_get_properties(model, nil) == Status.invalidArgument)
    }
  }

  @Test("a chat prompt is what the template makes of JSON messages")
  func chatPrompt() throws {
    try withTemporaryFolder { folder in
      try TinyCheckpoint().write(to: folder)
      let template =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        + "{% if tools %}{{ tools|length }}{% endif %}{% if add_generation_prompt %}<answer>{% endif %}"
      try writeFile(template, to: folder + "/chat_template.jinja")
      try withModel(folder) { model in
        func prompt(_ messages: String, _ tools: String?, _ adds: Int32) throws -> String {
          try text { fovea_model_chat_prompt(model, messages, tools, adds, $0, $1, $2) }
        }
        let messages = #"[{"role": "system", "content": "Be ü."}, {"role": "user", "content": "Hi\n"}]"#
        #expect(try prompt(messages, nil, 1) == "<system>Be ü.<user>Hi\n<answer>")
        #expect(try prompt(messages, #"[{"type": "function"}]"#, 0) == "<system>Be ü.<user>Hi\n1")
        for wrong in ["", "{}", "[1]", "[", "nonsense"] {
          #expect(throws: CallFailure.self) { try prompt(wrong, nil, 1) }
          #expect(lastError.hasPrefix("messages: "))
        }
        var handle: OpaquePointer?
        // The folder has no tokenizer.
        #expect(fovea_model_tokenizer(model, &handle) == Status.notFound)
        try withSession(model) { session in
          #expect(fovea_session_generate_text(session, "Hi", 2, nil, nil, nil, nil) == Status.notFound)
        }
      }
    }
    try withModel { model in
      #expect(fovea_model_chat_prompt(model, "[]", nil, 1, nil, 0, nil) == Status.invalidArgument)
      var count = 0
      #expect(fovea_model_chat_prompt(model, "[]", nil, 1, nil, 0, &count) == Status.notFound)
      #expect(fovea_model_chat_prompt(model, nil, nil, 1, nil, 0, &count) == Status.invalidArgument)
    }
  }
}

@Suite struct TokenizerTests {
  private let sample = "Tom said: “Ünï, 🚗!” </s> end"

  @Test("encoding and decoding are the tokenizer's, with every flag")
  func sameTokens() throws {
    let reference = try loadTokenizer(folder: bundledModel)
    try withTokenizer { tokenizer in
      for (flags, adds, parses) in [(0, true, true), (1, false, true), (2, true, false), (3, false, false)] {
        let expected = try reference.encode(sample, addSpecialTokens: adds, parseSpecialTokens: parses)
        let tokens = try encode(tokenizer, sample, flags: flags)
        #expect(tokens.map { Int($0) } == expected)
        for flag in [0, FOVEA_DECODE_SPECIAL] {
          let decoded = try text { fovea_tokenizer_decode(tokenizer, tokens, tokens.count, Int32(flag), $0, $1, $2) }
          #expect(try decoded == reference.decode(expected, skipSpecialTokens: flag == 0))
        }
      }
      // The length of a C string is found.
      let plain = try elements(zero: Int32(0)) { fovea_tokenizer_encode(tokenizer, "Once", -1, 0, $0, $1, $2) }
      #expect(plain.map { Int($0) } == (try reference.encode("Once")))
      #expect(try text { fovea_tokenizer_piece(tokenizer, 1, $0, $1, $2) } == "<s>")
      var properties = sized(fovea_tokenizer_properties(), \.struct_size)
      try check(fovea_tokenizer_get_properties(tokenizer, &properties))
      #expect(properties.vocabulary_size == 8192 && properties.end_of_text_token == 2)
      #expect(
        properties.beginning_of_text_token == 1 && properties.padding_token == Int32(reference.paddingToken ?? -1))
    }
  }

  @Test("a buffer one short gets the length and nothing else; null pointers and bad numbers are refused")
  func buffers() throws {
    try withTokenizer { tokenizer in
      let tokens = try encode(tokenizer, sample)
      var count = 0
      var short = [Int32](repeating: -7, count: tokens.count)
      let status = short.withUnsafeMutableBufferPointer {
        fovea_tokenizer_encode(tokenizer, sample, -1, 0, $0.baseAddress, tokens.count - 1, &count)
      }
      #expect(status == Status.bufferTooSmall && count == tokens.count && short.allSatisfy { $0 == -7 })
      #expect(lastError == "the buffer for tokens holds \(tokens.count - 1), expected at least \(tokens.count)")
      // A text needs room for its zero byte.
      let decoded = try text { fovea_tokenizer_decode(tokenizer, tokens, tokens.count, 0, $0, $1, $2) }
      var bytes = [CChar](repeating: 7, count: decoded.utf8.count + 1)
      for (room, expected) in [(0, Status.bufferTooSmall), (1, Status.ok)] {
        let status = bytes.withUnsafeMutableBufferPointer {
          fovea_tokenizer_decode(
            tokenizer, tokens, tokens.count, 0, $0.baseAddress, decoded.utf8.count + room, &count)
        }
        #expect(status == expected && count == decoded.utf8.count)
        #expect(bytes.last == (room == 0 ? 7 : 0))
      }
      let invalid = Status.invalidArgument
      #expect(fovea_tokenizer_encode(tokenizer, nil, 3, 0, nil, 0, &count) == invalid)
      #expect(fovea_tokenizer_encode(tokenizer, nil, -1, 0, nil, 0, &count) == invalid)
      #expect(fovea_tokenizer_encode(tokenizer, "a", -2, 0, nil, 0, &count) == invalid)
      #expect(fovea_tokenizer_encode(tokenizer, "a", 1, 0, nil, 5, &count) == invalid)
      #expect(fovea_tokenizer_encode(tokenizer, "a", 1, 0, nil, 0, nil) == invalid)
      #expect(fovea_tokenizer_encode(tokenizer, "a", 1, 8, nil, 0, &count) == invalid)
      #expect(fovea_tokenizer_decode(tokenizer, nil, 1, 0, nil, 0, &count) == invalid)
      #expect(fovea_tokenizer_decode(tokenizer, [1], -1, 0, nil, 0, &count) == invalid)
      for token in [Int32.min, -1, 8192, .max] {
        #expect(fovea_tokenizer_decode(tokenizer, [token], 1, 0, nil, 0, &count) != Status.ok)
        #expect(lastError.contains("\(token)"))
        #expect(fovea_tokenizer_piece(tokenizer, token, nil, 0, &count) == invalid)
      }
    }
  }

  @Test("the pieces of a detokenizer make up the text; a buffer too short leaves the token untaken")
  func streaming() throws {
    try withTokenizer { tokenizer in
      let tokens = try encode(tokenizer, sample)
      try withHandle({ fovea_detokenizer_create(tokenizer, 0, $0) }, free: fovea_detokenizer_free) { detokenizer in
        var pieces: [String] = []
        for token in tokens {
          // A first call that only asks, and one with no room, change nothing.
          var byte: CChar = 0
          var count = 0
          #expect(fovea_detokenizer_append(detokenizer, token, &byte, 0, &count) == Status.bufferTooSmall)
          pieces.append(try text { fovea_detokenizer_append(detokenizer, token, $0, $1, $2) })
        }
        pieces.append(try text { fovea_detokenizer_finish(detokenizer, $0, $1, $2) })
        #expect(pieces.count > 10)
        let whole = try text { fovea_tokenizer_decode(tokenizer, tokens, tokens.count, 0, $0, $1, $2) }
        #expect(pieces.joined() == whole)
        var count = 0
        #expect(fovea_detokenizer_append(detokenizer, 8192, nil, 0, &count) != Status.ok)
      }
    }
  }
}

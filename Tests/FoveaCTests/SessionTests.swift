import CFovea
import Dispatch
import FoveaCore
import FoveaModels
import FoveaTestSupport
import Synchronization
import Testing

@Suite struct SessionTests {
  private let tokens: [Int32] = [1, 411, 3, 279, 506, 7000, 12, 88, 90, 4]

  @Test(
    "logits are the model's bits, cut in any way, trimmed and reset",
    arguments: zip(
      [FOVEA_PRECISION_NATIVE, FOVEA_PRECISION_FLOAT32, FOVEA_PRECISION_BFLOAT16],
      [Precision.native, .float32, .bfloat16]))
  func sameLogits(precision: Int, same: Precision) throws {
    let reference = try DecoderModel.load(
      folder: bundledModel, precision: same, stream: ComputeStream(threadCount: 1))
    let expected = try reference.evaluate(tokens.map { Int($0) }, cache: reference.makeCache(), logits: .all).floats()
    try withModel(precision: precision) { model in
      try withSession(model) { session in
        #expect(try evaluate(session, tokens, FOVEA_LOGITS_ALL, rows: 10) == expected)
        try check(fovea_session_trim(session, 3))
        #expect(try evaluate(session, Array(tokens[3..<7]), FOVEA_LOGITS_NONE, rows: 0) == [])
        #expect(try evaluate(session, Array(tokens[7...]), FOVEA_LOGITS_LAST, rows: 1) == Array(expected.suffix(8192)))
        let held = try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) }
        #expect(held == tokens)
        try check(fovea_session_reset(session))
        var length = 99
        try check(fovea_session_length(session, &length))
        #expect(length == 0)
        #expect(try evaluate(session, [], FOVEA_LOGITS_LAST, rows: 0) == [])
        #expect(try evaluate(session, [1], FOVEA_LOGITS_LAST, rows: 1) == Array(expected.prefix(8192)))
      }
    }
  }

  /// Evaluates into a tensor of these sizes, in `buffer` of a sentinel.
  private func evaluateInto(
    _ session: OpaquePointer, _ selection: Int, shape: [Int64], strides: [Int64]?, type: (Int, UInt8) = (kDLFloat, 32),
    _ buffer: inout [Float]
  ) -> fovea_status {
    var (shape, strides) = (shape, strides ?? [])
    return buffer.withUnsafeMutableBufferPointer { buffer in
      shape.withUnsafeMutableBufferPointer { shape in
        strides.withUnsafeMutableBufferPointer { strides in
          var tensor = DLTensor(
            data: buffer.baseAddress, device: DLDevice(device_type: 1, device_id: 0), ndim: Int32(shape.count),
            dtype: DLDataType(code: UInt8(type.0), bits: type.1, lanes: 1), shape: shape.baseAddress,
            strides: strides.isEmpty ? nil : strides.baseAddress, byte_offset: 0)
          return fovea_session_evaluate_tensor(session, tokens, 3, fovea_logits(selection), &tensor)
        }
      }
    }
  }

  @Test("a tensor of any strides gets the logits; one that does not fit leaves the session as it was")
  func tensor() throws {
    try withModel { model in
      try withSession(model) { session in
        let expected = try evaluate(session, Array(tokens[..<3]), FOVEA_LOGITS_ALL, rows: 3)
        try check(fovea_session_reset(session))
        // Transposed, in every other place.
        var buffer = [Float](repeating: -1, count: 3 * 8192 * 2)
        try check(evaluateInto(session, FOVEA_LOGITS_ALL, shape: [3, 8192], strides: [2, 6], &buffer))
        var isRight = true
        for row in 0..<3 {
          for index in 0..<8192 {
            let place = row * 2 + index * 6
            isRight = isRight && buffer[place] == expected[row * 8192 + index] && buffer[place + 1] == -1
          }
        }
        #expect(isRight)
        try check(fovea_session_reset(session))
        try check(evaluateInto(session, FOVEA_LOGITS_LAST, shape: [8192], strides: nil, &buffer))
        #expect(Array(buffer.prefix(8192)) == Array(expected.suffix(8192)))
        for (shape, type) in [
          ([2, 8192], (kDLFloat, 32)), ([3, 8191], (kDLFloat, 32)), ([8192], (kDLFloat, 32)),
          ([3, 8192], (kDLFloat, 16)), ([3, 8192], (kDLInt, 32)),
        ] as [([Int64], (Int, UInt8))] {
          #expect(evaluateInto(session, FOVEA_LOGITS_ALL, shape: shape, strides: nil, type: type, &buffer) != Status.ok)
        }
        #expect(fovea_session_evaluate_tensor(session, tokens, 3, 1, nil) == Status.invalidArgument)
        var length = 0
        try check(fovea_session_length(session, &length))
        #expect(length == 3)
      }
    }
  }

  @Test("bad tokens, counts, selections and short buffers leave the session as it was")
  func badArguments() throws {
    try withModel { model in
      try withSession(model) { session in
        _ = try evaluate(session, [1, 411], FOVEA_LOGITS_NONE, rows: 0)
        var logits = [Float](repeating: -7, count: 8192)
        var count = 0
        func call(_ tokens: [Int32]?, _ tokenCount: Int, _ selection: Int, capacity: Int = 8192) -> fovea_status {
          logits.withUnsafeMutableBufferPointer {
            fovea_session_evaluate(
              session, tokens, tokenCount, fovea_logits(selection), $0.baseAddress, capacity, &count)
          }
        }
        let invalid = Status.invalidArgument
        for token in [Int32.min, -1, 8192, .max] {
          #expect(call([1, token], 2, 1) == invalid)
          #expect(lastError == "token \(token) is not in the vocabulary of 8192")
        }
        #expect(call(nil, 1, 1) == invalid)
        #expect(call([1], -1, 1) == invalid)
        #expect(call([1], Int.max, 1) == invalid)
        #expect(call([1], Int.min, 2) == invalid)
        #expect(call([1], 1, 3) == invalid)
        #expect(call([1], 1, 1, capacity: -1) == Status.bufferTooSmall)
        #expect(call([1], 1, 1, capacity: 8191) == Status.bufferTooSmall)
        #expect(count == 8192)
        #expect(call([1, 1], 2, 2) == Status.bufferTooSmall)
        #expect(fovea_session_evaluate(session, [1], 1, 1, nil, 0, &count) == invalid)
        #expect(call([Int32](repeating: 1, count: 1023), 1023, 1) == invalid)
        #expect(lastError == "1023 tokens were given, but the context has room for 1022 more")
        #expect(logits.allSatisfy { $0 == -7 })
        #expect(fovea_session_trim(session, 3) == invalid)
        #expect(fovea_session_trim(session, -1) == invalid)
        #expect(fovea_session_length(session, nil) == invalid)
        #expect(try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) } == [1, 411])
      }
    }
  }

  @Test("sessions of one model give the same bits on several threads at once")
  func threads() throws {
    try withModel { model in
      let expected = try withSession(model) { try evaluate($0, tokens, FOVEA_LOGITS_ALL, rows: 10) }
      let differing = Atomic<Int>(0)
      nonisolated(unsafe) let shared = model
      DispatchQueue.concurrentPerform(iterations: 8) { _ in
        let logits = try? withSession(shared) { try evaluate($0, tokens, FOVEA_LOGITS_ALL, rows: 10) }
        if logits != expected { differing.add(1, ordering: .relaxed) }
      }
      #expect(differing.load(ordering: .relaxed) == 0)
    }
  }

  @Test("a saved session goes on with the same bits in another one; a bad file leaves a session as it was")
  func saveAndRestore() throws {
    try withTemporaryFolder { folder in
      let (file, text) = (folder + "/session.safetensors", folder + "/text")
      try writeFile("no session", to: text)
      try withModel { model in
        let expected = try withSession(model) { session in
          _ = try evaluate(session, Array(tokens[..<6]), FOVEA_LOGITS_NONE, rows: 0)
          try check(fovea_session_save(session, file))
          return try evaluate(session, Array(tokens[6...]), FOVEA_LOGITS_ALL, rows: 4)
        }
        try withSession(model) { session in
          _ = try evaluate(session, [9, 9], FOVEA_LOGITS_NONE, rows: 0)
          #expect(fovea_session_restore(session, text) == Status.badData)
          #expect(fovea_session_restore(session, folder + "/nothing") == Status.notFound)
          #expect(fovea_session_restore(session, nil) == Status.invalidArgument)
          #expect(fovea_session_save(session, folder + "/no folder/session") != Status.ok)
          #expect(try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) } == [9, 9])
          try check(fovea_session_restore(session, file))
          #expect(try evaluate(session, Array(tokens[6...]), FOVEA_LOGITS_ALL, rows: 4) == expected)
          #expect(try elements(zero: Int32(0)) { fovea_session_tokens(session, $0, $1, $2) } == tokens)
        }
      }
    }
  }

  @Test("threads that use one session at once get its result or busy, and it holds what succeeded")
  func busy() throws {
    try withModel { model in
      try withSession(model) { session in
        let succeeded = Atomic<Int>(0)
        let other = Atomic<Int>(0)
        nonisolated(unsafe) let shared = session
        DispatchQueue.concurrentPerform(iterations: 32) { _ in
          switch fovea_session_evaluate(shared, [5], 1, fovea_logits(FOVEA_LOGITS_NONE), nil, 0, nil) {
          case Status.ok: succeeded.add(1, ordering: .relaxed)
          case Status.busy: break
          default: other.add(1, ordering: .relaxed)
          }
        }
        var length = 0
        try check(fovea_session_length(session, &length))
        #expect(other.load(ordering: .relaxed) == 0)
        #expect(length == succeeded.load(ordering: .relaxed) && length > 0)
      }
    }
  }
}

import FoveaCore
import FoveaEvaluation
import FoveaModels
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct DecoderModelTests {
  /// Runs `body` for every instruction set of the CPU, on two threads.
  private func forEachStream(_ body: (ComputeStream) throws -> Void) throws {
    for instructionSet in InstructionSet.available {
      try body(ComputeStream(threadCount: 2, instructionSet: instructionSet))
    }
  }

  /// Expects each of transformers' rows of logits within `tolerance` of the largest of the row.
  private func expectLogits(_ logits: Tensor, of golden: GoldenModel, within tolerance: Double, _ label: String) {
    for (position, expected) in zip(golden.expected.logitPositions, golden.expected.logits) {
      let got = logits.row(position).map(Double.init)
      let largest = expected.map(abs).max() ?? 0
      let worst = zip(got, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(
        got.count == expected.count && worst <= tolerance * largest,
        "\(label) position \(position): \(worst) of \(largest)")
    }
  }

  @Test("float32 logits, likelihoods and greedy tokens are those of transformers", arguments: GoldenModel.names)
  func float32(name: String) throws {
    let golden = try GoldenModel(name)
    try forEachStream { stream in
      let model = try DecoderModel.load(folder: golden.folder, precision: .float32, stream: stream)
      let label = "\(name) \(stream.instructionSet.name)"
      let logits = try model.evaluate(golden.expected.tokens, cache: model.makeCache(), logits: .all)
      expectLogits(logits, of: golden, within: 1e-4, label)

      let nll = try model.negativeLogLikelihoods(of: golden.expected.tokens)
      let worst = zip(nll, golden.expected.nll).map { abs($0 - $1) }.max() ?? .infinity
      #expect(nll.count == golden.expected.nll.count && worst <= 1e-4, "\(label): \(worst) nat")
      #expect(
        try greedyTokens(model, after: Array(golden.expected.tokens.prefix(8)), count: 24) == golden.expected.greedy)
    }
  }

  @Test("native and bfloat16 precision keep the mean likelihood within 1 %", arguments: GoldenModel.names)
  func native(name: String) throws {
    let golden = try GoldenModel(name)
    let expected = golden.expected.nll.reduce(0, +)
    try forEachStream { stream in
      for precision in [Precision.native, .bfloat16] {
        let model = try DecoderModel.load(folder: golden.folder, precision: precision, stream: stream)
        let total = try model.negativeLogLikelihoods(of: golden.expected.tokens).reduce(0, +)
        #expect(
          abs(total - expected) <= 0.01 * expected,
          "\(name) \(precision) \(stream.instructionSet.name): \(total), not \(expected)")
      }
    }
  }

  @Test("int16 precision stays near float32, where a checkpoint is not quantised", arguments: GoldenModel.names)
  func int16(name: String) throws {
    let golden = try GoldenModel(name)
    try forEachStream { stream in
      let model = try DecoderModel.load(folder: golden.folder, precision: .int16, stream: stream)
      guard !model.usesByteProducts else { return }
      let logits = try model.evaluate(golden.expected.tokens, cache: model.makeCache(), logits: .all)
      expectLogits(logits, of: golden, within: 2e-3, "\(name) \(stream.instructionSet.name)")
      let float32 = try DecoderModel.load(folder: golden.folder, precision: .float32, stream: stream)
      let wide = try float32.evaluate(golden.expected.tokens, cache: float32.makeCache(), logits: .all)
      #expect(logits.floats() != wide.floats(), "\(name): nothing is rounded")
    }
  }

  @Test("bfloat16 precision gives the bits of a checkpoint whose matrices are bfloat16", arguments: [false, true])
  func bfloat16(tiesEmbeddings: Bool) throws {
    var checkpoint = TinyCheckpoint()
    checkpoint.tiesEmbeddings = tiesEmbeddings
    let rounded = checkpoint.tensors.mapValues { tensor in
      tensor.shape.count == 1 ? tensor : Tensor(tensor.doubles(), shape: tensor.shape, elementType: .bfloat16)
    }
    let tokens = [1, 5, 9, 30, 2, 17, 8]
    try forEachStream { stream in
      func logits(_ tensors: [String: Tensor], _ precision: Precision) throws -> [Float] {
        try withTemporaryFolder { folder in
          try writeFile(checkpoint.configuration, to: folder + "/config.json")
          try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: folder + "/model.safetensors")
          let model = try DecoderModel.load(folder: folder, precision: precision, stream: stream)
          #expect(model.tiesEmbeddings == tiesEmbeddings && model.usesBFloat16Products)
          return try model.evaluate(tokens, cache: model.makeCache(), logits: .all).floats()
        }
      }
      let (got, expected) = (try logits(checkpoint.tensors, .bfloat16), try logits(rounded, .native))
      #expect(got == expected, "\(stream.instructionSet.name)")
    }
  }

  @Test("float32 matrices that 16 bits hold exactly are held so", arguments: [ElementType.bfloat16, .float16])
  func narrowed(type: ElementType) throws {
    var checkpoint = TinyCheckpoint()
    // Two pieces of work for the large matrices.
    (checkpoint.hiddenSize, checkpoint.vocabularySize) = (64, 1500)
    let rounded = checkpoint.tensors.mapValues { tensor in
      tensor.shape.count == 1 ? tensor : Tensor(tensor.doubles(), shape: tensor.shape, elementType: type)
    }
    let widened = rounded.mapValues { Tensor($0.floats(), shape: $0.shape) }
    // The last number of the embedding, of a token that is not in the text, has more bits.
    var mixed = widened
    let name = "model.embed_tokens.weight"
    var embedding = try #require(mixed[name]).floats()
    embedding[embedding.count - 1] = 0.1
    mixed[name] = Tensor(embedding, shape: [checkpoint.vocabularySize, checkpoint.hiddenSize])

    func load(_ tensors: [String: Tensor], _ stream: ComputeStream) throws -> (byteCount: Int, logits: [UInt32]) {
      try withTemporaryFolder { folder in
        try writeFile(checkpoint.configuration, to: folder + "/config.json")
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: folder + "/model.safetensors")
        let model = try DecoderModel.load(folder: folder, precision: .float32, stream: stream)
        let logits = try model.evaluate([1, 5, 9, 30, 2, 17, 8], cache: model.makeCache(), logits: .all)
        let native = try DecoderModel.load(folder: folder, stream: stream)
        // How the model is computed with follows from the file.
        let hasWideFile = tensors.values.allSatisfy { $0.elementType == .float32 }
        #expect(native.storedTypeName == (hasWideFile ? "float32" : type.rawValue))
        #expect(native.usesBFloat16Products == (!hasWideFile && type == .bfloat16))
        return (model.weightByteCount, logits.floats().map(\.bitPattern))
      }
    }
    let embeddingCount = checkpoint.vocabularySize * checkpoint.hiddenSize
    try forEachStream { stream in
      let (stored, wide, partly) = (try load(rounded, stream), try load(widened, stream), try load(mixed, stream))
      #expect(wide == stored, "\(stream.instructionSet.name)")
      #expect(partly.logits == stored.logits, "\(stream.instructionSet.name)")
      #expect(partly.byteCount == stored.byteCount + 2 * embeddingCount)
    }
  }

  @Test("copies of matrices that are larger than the memory are refused")
  func copiesBeyondMemory() throws {
    let byteCounts: [ElementType: Int] = [.float32: 4 << 20, .bfloat16: 2 << 20, .uint32: 1 << 30]
    for precision in [Precision.native, .float32] {
      try precision.checkCopies(of: byteCounts, folder: "model", memoryByteCount: 1)
    }
    try Precision.bfloat16.checkCopies(of: byteCounts, folder: "model", memoryByteCount: 2 << 20)
    try Precision.int16.checkCopies(of: byteCounts, folder: "model", memoryByteCount: 4 << 20 + 1 << 16)
    for (precision, byteCount) in [(Precision.bfloat16, 2 << 20), (.int16, 4 << 20 + 1 << 16)] {
      let error = #expect(throws: ModelError.self) {
        try precision.checkCopies(of: byteCounts, folder: "model", memoryByteCount: byteCount - 1)
      }
      #expect(error?.description.contains("'\(precision.rawValue)'") == true && error?.file == "model")
    }
  }

  @Test("every family has a golden model of its own")
  func families() throws {
    #expect(GoldenModel.names.count >= 22)
    let families = try GoldenModel.names.map { try ModelConfiguration.load(folder: GoldenModel($0).folder).family }
    #expect(Set(families) == Set(ModelFamily.allCases))
  }

  @Test(
    "prefill, decode and chunks of 7 give the same bits on 1 and 2 threads", arguments: GoldenModel.names)
  func sameBits(name: String) throws {
    let golden = try GoldenModel(name)
    let usesLong = try ModelConfiguration.load(folder: golden.folder).rotary.isLong
    for precision in Precision.allCases {
      let tokens = (0..<97).map { golden.expected.tokens[$0 % golden.expected.tokens.count] }
      for instructionSet in InstructionSet.available {
        var whole: [Float] = []
        for threadCount in [1, 2] {
          let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
          let model = try DecoderModel.load(folder: golden.folder, precision: precision, stream: stream)
          for chunk in [97, 7, 1] {
            let cache = model.makeCache()
            var logits: [Float] = []
            for first in stride(from: 0, to: tokens.count, by: chunk) {
              let part = Array(tokens[first..<min(tokens.count, first + chunk)])
              logits += try model.evaluate(part, cache: cache, logits: .all).floats()
            }
            // A text that has grown past the length where the factors change has other logits before that length too.
            if usesLong { logits = logits.suffix(24 * model.configuration.vocabularySize) }
            if whole.isEmpty { whole = logits }
            #expect(
              logits.map(\.bitPattern) == whole.map(\.bitPattern),
              "\(name) \(precision) \(instructionSet.name) \(threadCount) threads, chunks of \(chunk)")
          }
        }
      }
    }
  }

  @Test("a trimmed cache continues as if the later tokens had never come")
  func trim() throws {
    let golden = try GoldenModel("llama")
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let tokens = Array(golden.expected.tokens.prefix(20))
    let cache = model.makeCache()
    let expected = try model.evaluate(tokens, cache: cache, logits: .last).floats()
    cache.trim(to: 11)
    _ = try model.evaluate([5, 6, 7], cache: cache, logits: .none)
    cache.trim(to: 11)
    #expect(try model.evaluate(Array(tokens[11...]), cache: cache, logits: .last).floats() == expected)
    #expect(cache.length == 20 && cache.byteCount > 0)
  }

  @Test("tokens out of range and an overflowing context are refused and leave the cache as it was")
  func refusals() throws {
    let golden = try GoldenModel("llama")
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 1))
    let cache = model.makeCache()
    #expect(throws: ModelError.self) { try model.evaluate([1, 512], cache: cache) }
    #expect(throws: ModelError.self) { try model.evaluate([-1], cache: cache) }
    #expect(throws: ModelError.self) { try model.evaluate([Int](repeating: 1, count: 513), cache: cache) }
    #expect(cache.length == 0)
    #expect(try model.evaluate([], cache: cache).shape == [0, 512])
    #expect(try model.evaluate([1], cache: cache, logits: .none).shape == [0, 512])
  }

  private func greedyTokens(_ model: DecoderModel, after prompt: [Int], count: Int) throws -> [Int] {
    let cache = model.makeCache()
    var next = prompt
    var result: [Int] = []
    for _ in 0..<count {
      let logits = try model.evaluate(next, cache: cache).floats()
      let best = logits.indices.max { logits[$0] < logits[$1] || (logits[$0] == logits[$1] && $0 > $1) } ?? 0
      result.append(best)
      next = [best]
    }
    return result
  }
}

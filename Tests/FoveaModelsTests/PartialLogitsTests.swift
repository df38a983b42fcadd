import FoveaCore
import FoveaModels
import Testing

/// Of tokens whose logits nobody asks for the last layer computes keys and values only: what is asked for must not change
/// by that, nor what comes after it.
@Suite struct PartialLogitsTests {
  private func text(_ golden: GoldenModel, count: Int) -> [Int] {
    (0..<count).map { golden.expected.tokens[$0 * $0 % golden.expected.tokens.count] }
  }

  /// The logits after each token from `first` on, as bits, computed as a scorer asks for them.
  private func logits(
    _ model: DecoderModel, _ tokens: [Int], cache: KeyValueCache, from first: Int
  ) throws -> [UInt32] {
    var bits: [UInt32] = []
    try model.evaluate(tokens, cache: cache, logitsFrom: first) { rows, logits in
      #expect(rows.lowerBound == first + bits.count / model.configuration.vocabularySize)
      bits += logits.floats().map(\.bitPattern)
    }
    return bits
  }

  /// Every kind of cache, on models with and without windows and sinks, and two golden models of other make-up.
  static let cases: [(name: String, policy: CachePolicy, bits: Int?)] = [
    ("llama", .contiguous, nil), ("llama", .contiguous, 8), ("gpt_oss_window", .contiguous, nil),
    ("gemma3_text_caps", .contiguous, 4), ("llama", .streaming(maxSize: 300, sinkTokens: 4), nil),
    ("llama", .rotating(maxSize: 300, sinkTokens: 4), nil), ("llama", .streaming(maxSize: 300, sinkTokens: 4), 8),
    ("gemma3_text_caps", .streaming(maxSize: 16, sinkTokens: 5), nil),
    ("gpt_oss_window", .rotating(maxSize: 9, sinkTokens: 5), nil), ("mistral_window", .contiguous, nil),
    ("smollm3_window", .contiguous, nil),
  ]

  @Test("logits of a few tokens are those of all, with every cache and on every instruction set", arguments: cases)
  func cached(name: String, policy: CachePolicy, bits: Int?) throws {
    let golden = try GoldenModel(name)
    let format = CacheFormat(quantization: try bits.map { try CacheQuantization(bits: $0, groupSize: 32) })
    for instructionSet in InstructionSet.available {
      for precision in [Precision.native, .float32] {
        let stream = try ComputeStream(threadCount: 2, instructionSet: instructionSet)
        let model = try DecoderModel.load(folder: golden.folder, precision: precision, stream: stream)
        // More than what is evaluated together, and than a whole block of keys.
        let length = min(instructionSet.name == "scalar" ? 330 : 700, model.configuration.contextLength)
        let tokens = text(golden, count: length)
        let width = model.configuration.vocabularySize
        let all = try model.evaluate(tokens, cache: model.makeCache(policy, format: format), logits: .all)
          .floats().map(\.bitPattern)
        let label = "\(name) \(policy) \(bits ?? 0) bits \(instructionSet.name) \(precision)"

        for first in [length / 3, length - 3] {
          let got = try logits(model, tokens, cache: model.makeCache(policy, format: format), from: first)
          let isSame = got == Array(all.dropFirst(first * width))
          #expect(isSame, "\(label), from token \(first)")
        }

        let cache = try model.makeCache(policy, format: format)
        let cut = length / 2 + 1
        let none = try model.evaluate(Array(tokens[..<cut]), cache: cache, logits: .none)
        let last = try model.evaluate(Array(tokens[cut..<(length - 1)]), cache: cache)
        let next = try model.evaluate([tokens[length - 1]], cache: cache)
        let got = (last.floats() + next.floats()).map(\.bitPattern)
        let isSame = got == Array(all.suffix(2 * width))
        #expect(none.elementCount == 0 && isSame, "\(label), after a prompt without logits")
      }
    }
  }

  @Test("the last logits of a prompt are those of all, in every family", arguments: GoldenModel.names)
  func families(name: String) throws {
    let golden = try GoldenModel(name)
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let tokens = golden.expected.tokens
    let width = model.configuration.vocabularySize
    let all = try model.evaluate(tokens, cache: model.makeCache(), logits: .all).floats().map(\.bitPattern)
    let last = try model.evaluate(tokens, cache: model.makeCache()).floats().map(\.bitPattern)
    #expect(last == Array(all.suffix(width)))

    // Texts together, of which all, some, one and none of the logits are asked for.
    let texts = [tokens, Array(tokens.prefix(9)), Array(tokens.prefix(20)), [], Array(tokens.prefix(5))]
    let firstRows = [7, 0, 19, 0, 5]
    var got = [[UInt32]](repeating: [], count: texts.count)
    try model.evaluate(texts, logitsFrom: firstRows) { text, rows, logits in
      #expect(rows.lowerBound == firstRows[text] + got[text].count / width)
      got[text] += logits.floats().map(\.bitPattern)
    }
    for (index, text) in texts.enumerated() {
      let alone = try logits(model, text, cache: model.makeCache(), from: firstRows[index])
      #expect(got[index] == alone && alone.count == (text.count - firstRows[index]) * width, "\(name) text \(index)")
    }
  }

  @Test("hidden states from some token on are the last of all hidden states", arguments: GoldenModel.names)
  func hiddenStates(name: String) throws {
    let golden = try GoldenModel(name)
    let model = try DecoderModel.load(folder: golden.folder, stream: ComputeStream(threadCount: 2))
    let texts = [Array(golden.expected.tokens.prefix(11)), [], Array(golden.expected.tokens.prefix(30)), [3]]
    let firstRows = [10, 0, 4, 1]
    let width = model.hiddenSize
    let alone = try zip(texts, firstRows).map { text, first in
      try model.hiddenStates(of: text).floats().dropFirst(first * width).map(\.bitPattern)
    }
    let together = try model.withHiddenStates(of: texts, from: firstRows) { states, stride in
      (0..<alone.joined().count / width).flatMap { row in
        (0..<width).map { states[row * stride + $0].bitPattern }
      }
    }
    #expect(together == Array(alone.joined()))
  }
}

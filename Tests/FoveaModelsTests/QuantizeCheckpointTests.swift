import Foundation
import FoveaCore
import FoveaModels
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct QuantizeCheckpointTests {
  private func tiny() -> TinyCheckpoint {
    var checkpoint = TinyCheckpoint()
    checkpoint.hiddenSize = 64
    checkpoint.intermediateSize = 96
    checkpoint.contextLength = 160
    checkpoint.elementType = .bfloat16
    return checkpoint
  }

  /// Writes `checkpoint` to a new folder inside `folder`; returns that one.
  private func write(_ checkpoint: TinyCheckpoint, in folder: String) throws -> String {
    let source = folder + "/in"
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: false)
    try checkpoint.write(to: source)
    return source
  }

  private func quantize(_ folder: String, _ target: String, _ rule: QuantizationRule, threads: Int = 2) throws {
    _ = try quantizeCheckpoint(
      folder: folder, to: target, rule: rule, stream: ComputeStream(threadCount: threads), progress: { _ in })
  }

  /// The values that the codes of `name` stand for, decoded bit by bit.
  private func values(_ checkpoint: Checkpoint, _ name: String, _ scheme: QuantizationScheme) throws -> [Double] {
    let words = try checkpoint.tensor(name + ".weight")
    let (scales, biases) = (
      try checkpoint.tensor(name + ".scales").doubles(), try checkpoint.tensor(name + ".biases").doubles()
    )
    let bits = UnsafeRawBufferPointer(start: words.baseAddress, count: words.byteCount)
    let count = words.byteCount * 8 / scheme.bits
    return (0..<count).map { index in
      var code = 0
      for bit in 0..<scheme.bits {
        let position = index * scheme.bits + bit
        code |= Int(bits[position / 8] >> UInt8(position % 8) & 1) << bit
      }
      return scales[index / scheme.groupSize] * Double(code) + biases[index / scheme.groupSize]
    }
  }

  @Test("groups are within half a step of their codes", arguments: QuantizationScheme.allowedBits)
  func rounding(bits: Int) throws {
    try withTemporaryFolder { folder in
      let (source, target) = (try write(tiny(), in: folder), folder + "/out")
      let scheme = QuantizationScheme(bits: bits, groupSize: 32)
      try quantize(source, target, QuantizationRule(scheme: scheme))
      let (before, after) = (try Checkpoint.open(folder: source), try Checkpoint.open(folder: target))
      for name in ["model.embed_tokens", "lm_head", "model.layers.1.mlp.down_proj"] {
        let expected = try before.tensor(name + ".weight").doubles()
        let got = try values(after, name, scheme)
        for first in stride(from: 0, to: expected.count, by: 32) {
          let group = expected[first..<first + 32]
          let (lowest, highest) = (group.min() ?? 0, group.max() ?? 0)
          // Half a step of the plain choice, and what rounding scale and bias to bfloat16 adds.
          let step = (highest - lowest) / Double((1 << bits) - 1)
          let limit = step * (0.5 + 0.004 * Double(1 << bits)) + 0.004 * abs(lowest)
          let errors = zip(group, got[first..<first + 32]).map { ($0 - $1) * ($0 - $1) }
          let error = (errors.reduce(0, +) / 32).squareRoot()
          #expect(error <= limit, "\(name) from \(first) on: \(error), expected at most \(limit)")
        }
      }
      // Norms stay as they are.
      #expect(
        try after.tensor("model.norm.weight").doubles() == before.tensor("model.norm.weight").doubles())
      #expect(try ModelConfiguration.load(folder: target).quantization == QuantizationConfiguration(scheme: scheme))
    }
  }

  @Test("the result does not depend on threads, and mixed widths are those of the rule")
  func mixed() throws {
    try withTemporaryFolder { folder in
      var checkpoint = tiny()
      checkpoint.layerCount = 8
      let source = try write(checkpoint, in: folder)
      let rule = QuantizationRule(scheme: QuantizationScheme(bits: 3, groupSize: 32), higherBits: 6)
      for threads in [1, 3] { try quantize(source, folder + "/\(threads)", rule, threads: threads) }
      for name in ["model.safetensors", "config.json"] {
        let files = try [1, 3].map { try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)/\(name)")) }
        #expect(files[0] == files[1], "\(name)")
      }
      let quantization = try #require(try ModelConfiguration.load(folder: folder + "/1").quantization)
      #expect(quantization.scheme.bits == 3)
      // Of 8 layers the first and last, and every third between.
      let chosen = [0, 3, 6, 7].flatMap { layer in
        ["self_attn.v_proj", "mlp.down_proj"].map { "model.layers.\(layer).\($0)" }
      }
      #expect(Set(quantization.overrides.keys) == Set(chosen + ["lm_head", "model.embed_tokens"]))
      #expect(quantization.overrides.values.allSatisfy { $0.bits == 6 && $0.groupSize == 32 })
    }
  }

  @Test("quantised models evaluate near the original")
  func evaluates() throws {
    try withTemporaryFolder { folder in
      let source = try write(tiny(), in: folder)
      let tokens = Array(3..<30)
      func logits(_ folder: String) throws -> [Double] {
        let model = try DecoderModel.load(folder: folder)
        return try model.evaluate(tokens, cache: model.makeCache(), logits: .all).doubles()
      }
      let expected = try logits(source)
      let norm = expected.reduce(0) { $0 + $1 * $1 }
      // Rounding one matrix of spiky random values to 8 bits errs by about 1 %, and each bit less doubles that.
      for (bits, limit) in [(8, 0.08), (6, 0.3), (5, 0.6)] {
        let target = folder + "/\(bits)"
        try quantize(source, target, QuantizationRule(scheme: QuantizationScheme(bits: bits, groupSize: 32)))
        let error = zip(try logits(target), expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        #expect((error / norm).squareRoot() < limit, "\(bits) bits: \((error / norm).squareRoot())")
        #expect(error > 0)
      }
    }
  }

  @Test("more rows than one block give the bits of a few, widened weights too")
  func longPrompts() throws {
    try withTemporaryFolder { folder in
      let source = try write(tiny(), in: folder)
      for bits in [3, 8] {
        try quantize(
          source, folder + "/\(bits)", QuantizationRule(scheme: QuantizationScheme(bits: bits, groupSize: 32)))
      }
      // The second block of rows of a gated product finds the weights where the first one left them.
      let tokens = (0..<150).map { 3 + $0 % 27 }
      for name in ["in", "3", "8"] {
        for precision in Precision.allCases {
          let model = try DecoderModel.load(folder: folder + "/" + name, precision: precision)
          let whole = try model.evaluate(tokens, cache: model.makeCache(), logits: .all).floats()
          let cache = model.makeCache()
          var logits: [Float] = []
          for first in stride(from: 0, to: tokens.count, by: 7) {
            let part = Array(tokens[first..<min(tokens.count, first + 7)])
            logits += try model.evaluate(part, cache: cache, logits: .all).floats()
          }
          #expect(logits.map(\.bitPattern) == whole.map(\.bitPattern), "\(name) \(precision)")
        }
      }
    }
  }

  @Test("nothing is overwritten, quantised twice or left behind")
  func refusals() throws {
    try withTemporaryFolder { folder in
      let (source, target) = (try write(tiny(), in: folder), folder + "/out")
      let rule = QuantizationRule(scheme: QuantizationScheme(bits: 4, groupSize: 32))
      try quantize(source, target, rule)
      func message(_ source: String, _ target: String, _ rule: QuantizationRule) -> String {
        do {
          try quantize(source, target, rule)
          return ""
        } catch { return "\(error)" }
      }
      #expect(message(source, target, rule) == "\(target): exists already")
      #expect(message(target, folder + "/again", rule).contains("is quantised already"))
      let wide = QuantizationRule(scheme: QuantizationScheme(bits: 4, groupSize: 128))
      #expect(message(source, folder + "/wide", wide).contains("groups of 128"))
      #expect(message(source, folder + "/no/such", rule).contains("cannot be made"))
      struct Stop: Error {}
      #expect(throws: Stop.self) {
        _ = try quantizeCheckpoint(
          folder: source, to: folder + "/stopped", rule: rule, stream: ComputeStream(threadCount: 1),
          progress: { if $0 > 0.5 { throw Stop() } })
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["in", "out"])
    }
  }

  @Test(
    "configurations that Fovea cannot read name the setting",
    arguments: [
      (#"{"bits": 7, "group_size": 64}"#, "'quantization.bits' must be 2, 3, 4, 5, 6 or 8"),
      (#"{"bits": 4, "group_size": 16}"#, "'group_size' 32, 64 or 128, found 4 and 16"),
      (#"{"bits": 8, "group_size": 32, "mode": "mxfp8"}"#, "'quantization.mode' is 'mxfp8'"),
      (#"{"bits": 4, "group_size": 64, "mode": "mxfp4"}"#, "must be 4 and 32 for mxfp4"),
      (#"{"quant_method": "gptq", "bits": 4}"#, "'quantization.quant_method' is 'gptq'"),
      (#"{"bits": 4, "lm_head": {"bits": 1}}"#, "'quantization.lm_head.bits' must be"),
    ])
  func configurations(settings: String, message: String) {
    let json = tiny().configuration.replacingOccurrences(
      of: "\"model_type\"", with: "\"quantization\": \(settings), \"model_type\"")
    do {
      _ = try ModelConfiguration(parsing: Array(json.utf8))
      Issue.record("accepted")
    } catch {
      #expect("\(error)".contains(message), "\(error)")
    }
  }
}

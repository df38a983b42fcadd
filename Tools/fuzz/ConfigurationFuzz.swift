// Fuzzes the reader of config.json: whatever the bytes, parsing must succeed or throw, and a configuration that parses
// must give finite rotary angles and sizes whose products fit an Int.
import FoveaCore

/// Called by libFuzzer with each input: config.json, and generation_config.json after a NUL if there is one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  // libFuzzer gives `byteCount` readable bytes.
  let bytes = Array(UnsafeBufferPointer(start: start, count: byteCount))
  let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
  do throws(ModelError) {
    let configuration = try ModelConfiguration(
      parsing: parts[0], generationBytes: parts.count > 1 ? parts[1] : nil)
    _ = configuration.headCount * configuration.headDimension * configuration.hiddenSize
    _ = configuration.vocabularySize * configuration.hiddenSize
    let rotary = RotaryEmbedding(
      configuration.rotary, headDimension: configuration.headDimension, contextLength: configuration.contextLength)
    var cosine = [Float](repeating: 0, count: rotary.pairCount)
    var sine = cosine
    for position in [0, 1, configuration.contextLength - 1] {
      rotary.fill(position: position, cosine: &cosine, sine: &sine)
      precondition((cosine + sine).allSatisfy(\.isFinite), "an angle that is not finite")
    }
  } catch {
    precondition(!error.description.contains("\n"), "an error of several lines")
  }
  return 0
}

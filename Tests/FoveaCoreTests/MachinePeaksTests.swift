import FoveaCore
import Testing

@Suite struct MachinePeaksTests {
  @Test(arguments: InstructionSet.available.map(\.name))
  func peaksAreThereWhereTheInstructionsAre(name: String) throws {
    let stream = try ComputeStream(threadCount: 2, instructionSet: .named(name))
    let peaks = MachinePeaks.measure(on: stream, memoryByteCount: 16 << 20)
    #expect(peaks.threadCount == 2)
    #expect(peaks.memoryBytesPerSecond > 0 && peaks.memoryBytesPerSecond.isFinite)
    #expect((peaks.float32OperationsPerSecond != nil) == (name != "scalar"))
    #expect((peaks.bfloat16OperationsPerSecond != nil) == (name == "avx512bf16"))
    #expect((peaks.int16OperationsPerSecond != nil) == (name.hasPrefix("avx")))
    for peak in [
      peaks.float32OperationsPerSecond, peaks.bfloat16OperationsPerSecond, peaks.int8OperationsPerSecond,
      peaks.int16OperationsPerSecond,
    ] {
      if let peak { #expect(peak > 0 && peak.isFinite) }
    }
  }
}

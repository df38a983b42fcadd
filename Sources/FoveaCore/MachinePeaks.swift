internal import CFoveaKernels

/// What the machine can do at most with a stream's threads and instruction set, to compare operations with.
///
/// Each value is the best of a few short runs, since a limit is what is possible; other processes only lower it. An
/// operation whose data fits into a cache may well exceed `memoryBytesPerSecond`.
public struct MachinePeaks: Sendable {
  /// How many threads were measured together.
  public let threadCount: Int
  /// Float32 fused multiply-adds, two operations each, per second; nil for the scalar kernels, which have no such
  /// instruction.
  public let float32OperationsPerSecond: Double?
  /// Products and sums of the bfloat16 dot instruction per second; nil where the instruction set lacks it.
  public let bfloat16OperationsPerSecond: Double?
  /// Products and sums of the int8 dot instruction per second; nil where the CPU lacks it.
  public let int8OperationsPerSecond: Double?
  /// Products and sums of int16 pairs per second, by the dot instruction where the instruction set has it; nil where they
  /// were not measured.
  public let int16OperationsPerSecond: Double?
  /// Bytes read per second out of a buffer much larger than the caches, on huge pages where the system has them.
  public let memoryBytesPerSecond: Double

  /// Measures on `stream`: about two thirds of a second, and a fifth of one to touch the memory first.
  ///
  /// - Parameter memoryByteCount: the size of the buffer to read; several times the last cache.
  public static func measure(on stream: ComputeStream, memoryByteCount: Int = 1 << 30) -> MachinePeaks {
    stream.run {
      MachinePeaks(
        threadCount: stream.threadCount,
        float32OperationsPerSecond: operationsPerSecond(FOVEA_PEAK_FLOAT32, stream),
        bfloat16OperationsPerSecond: operationsPerSecond(FOVEA_PEAK_BFLOAT16, stream),
        int8OperationsPerSecond: operationsPerSecond(FOVEA_PEAK_INT8, stream),
        int16OperationsPerSecond: operationsPerSecond(FOVEA_PEAK_INT16, stream),
        memoryBytesPerSecond: bytesPerSecond(stream, byteCount: memoryByteCount))
    }
  }

  /// Runs of which the best counts: so many, and for so long. At first the system may keep new threads on one core.
  private static let leastRunCount = 5
  private static let leastDuration = Duration.milliseconds(150)

  private static func operationsPerSecond(_ peak: fovea_peak, _ stream: ComputeStream) -> Double? {
    guard let loop = fovea_peak_loop_of(stream.instructionSet.kernels, peak) else { return nil }
    // Pieces of about half a millisecond: long beside the handing out, short beside the 10 ms of a run, so that a
    // worker that wakes late costs little.
    let stepCount = 1 << 18
    let pieceCount = 16 * stream.threadCount
    let operationCount = loop(1) * Double(stepCount * pieceCount)
    return bestRate(of: operationCount) {
      ContinuousClock().measure { stream.forEachPiece(pieceCount) { _, _ in _ = loop(stepCount) } } / .seconds(1)
    }
  }

  private static func bytesPerSecond(_ stream: ComputeStream, byteCount: Int) -> Double {
    let tensor = Tensor(uninitialized: [byteCount], elementType: .uint8)
    let bytes = tensor.baseAddress
    // Written once: pages that were never written all show the same one.
    stream.forEachRange(byteCount, grain: 4 << 20) { range in
      (bytes + range.lowerBound).initializeMemory(as: UInt8.self, repeating: 1, count: range.count)
    }
    let reader = MemoryReader([tensor], mostByteCount: byteCount)
    return bestRate(of: Double(reader.byteCount)) { reader.secondsToRead(on: stream) }
  }

  /// - Parameter secondsToRun: runs once and gives the seconds that it took.
  private static func bestRate(of count: Double, _ secondsToRun: () -> Double) -> Double {
    let clock = ContinuousClock()
    _ = secondsToRun()
    let start = clock.now
    var best = secondsToRun()
    var runCount = 1
    while runCount < leastRunCount || clock.now - start < leastDuration {
      best = min(best, secondsToRun())
      runCount += 1
    }
    return count / best
  }
}

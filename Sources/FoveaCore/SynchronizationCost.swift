internal import CFoveaKernels
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What a stream's threads cost beside their work: a barrier while they run, and the processor while they rest.
public struct SynchronizationCost: Sendable {
  /// How many threads were measured together.
  public let threadCount: Int
  /// Seconds of handing a piece to each thread, in which it waits for the others, and of waiting for all of them to
  /// end: the median of many runs.
  public let barrierSeconds: Double
  /// The fastest of these runs.
  public let fastestBarrierSeconds: Double
  /// Processor seconds of the whole process in each second without work, once the threads sleep.
  public let idleShare: Double
  /// How many workers slept after that second: all of them, unless other work kept coming.
  public let sleepingThreadCount: Int

  /// Measures on `stream`: about a second, most of it asleep.
  public static func measure(on stream: ComputeStream, idleSeconds: Double = 1) -> SynchronizationCost {
    let barriers = stream.run { barrierTimes(on: stream) }
    // Long beside the spinning of idle workers.
    usleep(50_000)
    let begin = processorSeconds()
    usleep(UInt32(idleSeconds * 1e6))
    let idle = processorSeconds() - begin
    return SynchronizationCost(
      threadCount: stream.threadCount, barrierSeconds: barriers[barriers.count / 2],
      fastestBarrierSeconds: barriers[0], idleShare: idle / idleSeconds,
      sleepingThreadCount: stream.sleepingThreadCount)
  }

  /// Sorted seconds of one barrier, each the mean of some that follow each other.
  private static func barrierTimes(on stream: ComputeStream) -> [Double] {
    let barrierCount = 100
    let clock = ContinuousClock()
    let threadCount = stream.threadCount
    let arrived = Atomic<Int>(0)
    var expected = 0
    func run() {
      for _ in 0..<barrierCount {
        expected += threadCount
        let expected = expected
        // Without the wait the first thread would be through with everybody's pieces before they look.
        stream.forEachPiece(threadCount) { _, _ in
          arrived.add(1, ordering: .relaxed)
          var waited = 0
          while arrived.load(ordering: .relaxed) < expected {
            waited += 1
            if waited < 1000 { fovea_spin_pause() } else { sched_yield() }
          }
        }
      }
    }
    run()
    return (0..<200).map { _ in clock.measure(run) / .seconds(barrierCount) }.sorted()
  }

  private static func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

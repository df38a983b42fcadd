internal import CFoveaKernels
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// In which order the threads of a team meet the pieces of a job.
package enum PieceOrder: Sendable {
  /// Each thread begins with a run of neighbours of its own, the same in every job of that many pieces: what it read
  /// the last time is still in its caches.
  case together
  /// The first pieces go to different threads, for pieces sorted by length.
  case apart
}

/// Persistent threads that share the pieces of one job at a time with the thread that posts it.
///
/// Posting costs a few stores while the workers spin. Every thread has a share of the pieces and, when it is through with
/// that, takes from the shares of the others; so a slow or descheduled thread holds nobody up: whoever finds no piece left
/// is done, and the poster waits only for pieces under way. Workers spin for about 50 µs after a job, then yield for a
/// while, then sleep.
final class ThreadTeam: Sendable {
  /// The poster's thread and the workers.
  let threadCount: Int
  private let state: TeamState
  private let threads: [ThreadHandle]

  /// Starts `threadCount` − 1 workers; fewer if the system refuses more threads. The first job comes after `jobNumber`.
  init(threadCount: Int, jobNumber: UInt32) {
    let state = TeamState(threadCount: threadCount, jobNumber: jobNumber)
    self.state = state
    threads = (1..<max(1, threadCount)).compactMap { index in
      ThreadHandle { state.workerLoop(index: index, jobNumber: jobNumber) }
    }
    self.threadCount = threads.count + 1
  }

  /// How many workers sleep and cost nothing.
  var sleepingThreadCount: Int { state.sleepingThreadCount }

  deinit {
    state.shutDown()
    for thread in threads { thread.join() }
  }

  /// Calls `body(piece, thread)` for every piece below `count`, spread over the threads; returns when all are done.
  ///
  /// Only one thread may be inside at a time, and `body` must not call it again: ``ComputeStream`` sees to both.
  func forEachPiece(_ count: Int, order: PieceOrder, _ body: (_ piece: Int, _ thread: Int) -> Void) {
    guard threads.count > 0, count > 1 else {
      for piece in 0..<count { body(piece, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      let work = PieceWork(body)
      withExtendedLifetime(work) { state.post(.passUnretained(work), count: count, order: order) }
    }
  }
}

/// What the threads of a team share: the work itself lies in ``TeamLines``, which says what is read and written when.
private final class TeamState: Sendable {
  private let shareCount: Int
  private let lines: TeamLines
  private let sleep = SleepCondition()

  /// Pauses before a waiting thread starts to yield: about 50 µs, longer than what lies between two jobs of a token.
  /// With more threads than processors, spinning would keep others from their work.
  private let spinCount: Int
  /// Yields before an idle worker sleeps: when the cores are free this is some 100 µs more.
  private static let yieldCount = 300
  /// No new yield after so long: where others keep the cores busy, each one lasts for milliseconds.
  private static let longestYielding = Duration.milliseconds(10)

  init(threadCount: Int, jobNumber: UInt32) {
    shareCount = threadCount
    lines = TeamLines(shareCount: threadCount, jobNumber: jobNumber)
    spinCount = threadCount > ProcessorCount.usable() ? 20 : 3_000
  }

  deinit { lines.deallocate() }

  var sleepingThreadCount: Int { Int(lines.sleeperCount.pointee.load(ordering: .relaxed)) }

  func post(_ work: Unmanaged<PieceWork>, count: Int, order: PieceOrder) {
    let job = lines.announce(work, count: count, order: order)
    wakeWorkers()
    var completed = 0
    if job.pieceCount(ofShare: 0, of: shareCount) > 0 {
      job.run(0, ofShare: 0, of: shareCount, thread: 0)
      completed = 1
    }
    // The look before that may have come too early for a worker that was falling asleep: no waiting for the stores.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    wakeWorkers()
    takePieces(of: job, thread: 0) { completed += 1 }
    var waited = 0
    while completed + lines.reportedPieces(of: job) < count {
      waited += 1
      if waited < spinCount { fovea_spin_pause() } else { sched_yield() }
    }
  }

  private func wakeWorkers() {
    if lines.drowsyCount.pointee.load(ordering: .sequentiallyConsistent) > 0 { sleep.wakeAll() }
  }

  /// The thread's own share first, then what is left of the others'. Calls `didRun` after each piece.
  private func takePieces(of job: TeamJob, thread: Int, _ didRun: () -> Void) {
    for offset in 0..<shareCount {
      let share = (thread + offset) % shareCount
      let pieceCount = job.pieceCount(ofShare: share, of: shareCount)
      while let index = lines.takePiece(of: job, share: share, below: pieceCount) {
        job.run(index, ofShare: share, of: shareCount, thread: thread)
        didRun()
      }
    }
  }

  func workerLoop(index: Int, jobNumber: UInt32) {
    var seen = jobNumber
    while true {
      seen = waitForJob(after: seen)
      // Asked after the number is seen: the end has a number of its own, which a worker may find where it was woken for
      // the last job's, and nothing would wake it again.
      if lines.isShutDown.pointee.load(ordering: .acquiring) != 0 { return }
      guard let job = lines.job(seen) else { continue }
      var completed = 0
      takePieces(of: job, thread: index) {
        completed += 1
        lines.report(completed, of: job, thread: index)
      }
    }
  }

  /// The number of the latest job, once it is not `seen` any more.
  private func waitForJob(after seen: UInt32) -> UInt32 {
    for _ in 0..<spinCount {
      if let number = lines.number(after: seen) { return number }
      fovea_spin_pause()
    }
    lines.drowsyCount.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    defer { lines.drowsyCount.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    let end = ContinuousClock.now + TeamState.longestYielding
    for _ in 0..<TeamState.yieldCount {
      if let number = lines.number(after: seen) { return number }
      sched_yield()
      if ContinuousClock.now > end { break }
    }
    lines.sleeperCount.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    defer { lines.sleeperCount.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    var number: UInt32?
    sleep.wait {
      number = lines.number(after: seen)
      return number == nil
    }
    return number ?? seen
  }

  func shutDown() {
    lines.isShutDown.pointee.store(1, ordering: .releasing)
    lines.announceEnd()
    sleep.wakeAll()
  }
}

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
/// Posting costs one atomic increment while the workers spin. Every thread has a share of the pieces and, when it is
/// through with that, takes from the shares of the others; so a slow or descheduled thread holds nobody up: whoever
/// finds no piece left is done, and the poster waits only for pieces under way. Workers spin for about 100 µs after a
/// job, then yield for a while, then sleep.
final class ThreadTeam: Sendable {
  /// The poster's thread and the workers.
  let threadCount: Int
  private let state: TeamState
  private let threads: [ThreadHandle]

  /// Starts `threadCount` − 1 workers; fewer if the system refuses more threads.
  init(threadCount: Int) {
    let state = TeamState(threadCount: threadCount)
    self.state = state
    threads = (1..<max(1, threadCount)).compactMap { index in
      ThreadHandle { state.workerLoop(index: index) }
    }
    self.threadCount = threads.count + 1
  }

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
      withUnsafePointer(to: body) { state.post(TeamJob(body: $0, count: count, order: order)) }
    }
  }
}

/// One job; `body` is valid until the poster returns.
private struct TeamJob {
  var body: UnsafePointer<(Int, Int) -> Void>
  var count: Int
  var order: PieceOrder

  /// How many of the pieces belong to a share.
  func pieceCount(ofShare share: Int, of shareCount: Int) -> Int {
    switch order {
    case .together: count * (share + 1) / shareCount - count * share / shareCount
    case .apart: (count - share + shareCount - 1) / shareCount
    }
  }

  func piece(_ index: Int, ofShare share: Int, of shareCount: Int) -> Int {
    switch order {
    case .together: count * share / shareCount + index
    case .apart: index * shareCount + share
    }
  }
}

/// What the threads of a team share. `job` is written by the poster only while it is closed and no worker is inside,
/// and read by workers only while it is open: hence `@unchecked Sendable`.
private final class TeamState: @unchecked Sendable {
  private var job: TeamJob?
  private let shareCount: Int
  private let counters: SpacedCounters
  private let sleep = SleepCondition()

  /// Pauses before a waiting thread starts to yield: about 100 µs, longer than what lies between two jobs of a token.
  /// With more threads than processors, spinning would keep others from their work.
  private let spinCount: Int
  /// Yields before an idle worker sleeps: when the cores are free this is some 100 µs more.
  private static let yieldCount = 300

  init(threadCount: Int) {
    shareCount = threadCount
    counters = SpacedCounters(shareCount: threadCount)
    spinCount = threadCount > ProcessorCount.usable() ? 20 : 3_000
  }

  deinit { counters.deallocate() }

  func post(_ job: TeamJob) {
    self.job = job
    for share in 0..<shareCount { counters.taken(share).pointee.store(0, ordering: .relaxed) }
    counters.isOpen.pointee.store(1, ordering: .sequentiallyConsistent)
    counters.generation.pointee.add(1, ordering: .sequentiallyConsistent)
    if counters.sleeperCount.pointee.load(ordering: .sequentiallyConsistent) > 0 { sleep.wakeAll() }
    takePieces(of: job, thread: 0)
    // From here a late worker sees the job closed, or is counted inside: one of the two orders holds for both threads.
    counters.isOpen.pointee.store(0, ordering: .sequentiallyConsistent)
    var waited = 0
    while counters.insideCount.pointee.load(ordering: .sequentiallyConsistent) > 0 {
      waited += 1
      if waited < spinCount { fovea_spin_pause() } else { sched_yield() }
    }
    self.job = nil
  }

  /// The thread's own share first, then what is left of the others'.
  private func takePieces(of job: TeamJob, thread: Int) {
    for offset in 0..<shareCount {
      let share = (thread + offset) % shareCount
      let pieceCount = job.pieceCount(ofShare: share, of: shareCount)
      // A look before the increment: a share that is used up need not change hands.
      while counters.taken(share).pointee.load(ordering: .relaxed) < pieceCount {
        let index = counters.taken(share).pointee.add(1, ordering: .relaxed).oldValue
        if index >= pieceCount { break }
        job.body.pointee(job.piece(index, ofShare: share, of: shareCount), thread)
      }
    }
  }

  func workerLoop(index: Int) {
    var seen = 0
    while true {
      seen = waitForJob(after: seen)
      if counters.isShutDown.pointee.load(ordering: .acquiring) != 0 { return }
      counters.insideCount.pointee.add(1, ordering: .sequentiallyConsistent)
      if counters.isOpen.pointee.load(ordering: .sequentiallyConsistent) != 0, let job {
        takePieces(of: job, thread: index)
      }
      counters.insideCount.pointee.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  private func waitForJob(after seen: Int) -> Int {
    for _ in 0..<spinCount {
      let current = counters.generation.pointee.load(ordering: .acquiring)
      if current != seen { return current }
      fovea_spin_pause()
    }
    for _ in 0..<TeamState.yieldCount {
      let current = counters.generation.pointee.load(ordering: .acquiring)
      if current != seen { return current }
      sched_yield()
    }
    counters.sleeperCount.pointee.add(1, ordering: .sequentiallyConsistent)
    sleep.wait { counters.generation.pointee.load(ordering: .sequentiallyConsistent) == seen }
    counters.sleeperCount.pointee.subtract(1, ordering: .sequentiallyConsistent)
    return counters.generation.pointee.load(ordering: .acquiring)
  }

  func shutDown() {
    counters.isShutDown.pointee.store(1, ordering: .releasing)
    counters.generation.pointee.add(1, ordering: .sequentiallyConsistent)
    sleep.wakeAll()
  }
}

/// The atomic numbers of a team, each on cache lines of its own: a thread that spins on one does not hinder the others.
/// Owned by the team's state, which frees them when its last thread is gone.
private struct SpacedCounters {
  private let base: UnsafeMutablePointer<Atomic<Int>>
  private let count: Int
  /// Processors fetch lines in pairs of 64 bytes.
  private static let spacing = 128 / MemoryLayout<Atomic<Int>>.stride

  init(shareCount: Int) {
    count = 5 + shareCount
    let slotCount = count * SpacedCounters.spacing
    base = UnsafeMutableRawPointer.allocate(byteCount: slotCount * MemoryLayout<Atomic<Int>>.stride, alignment: 128)
      .bindMemory(to: Atomic<Int>.self, capacity: slotCount)
    for index in 0..<count { slot(index).initialize(to: Atomic(0)) }
  }

  func deallocate() {
    for index in 0..<count { slot(index).deinitialize(count: 1) }
    base.deallocate()
  }

  private func slot(_ index: Int) -> UnsafeMutablePointer<Atomic<Int>> { base + index * SpacedCounters.spacing }

  var generation: UnsafeMutablePointer<Atomic<Int>> { slot(0) }
  var isOpen: UnsafeMutablePointer<Atomic<Int>> { slot(1) }
  var insideCount: UnsafeMutablePointer<Atomic<Int>> { slot(2) }
  var sleeperCount: UnsafeMutablePointer<Atomic<Int>> { slot(3) }
  var isShutDown: UnsafeMutablePointer<Atomic<Int>> { slot(4) }
  /// How many pieces of a share have been taken.
  func taken(_ share: Int) -> UnsafeMutablePointer<Atomic<Int>> { slot(5 + share) }
}

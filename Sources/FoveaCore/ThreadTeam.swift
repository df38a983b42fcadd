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
/// Posting costs one atomic addition while the workers spin. Every thread has a share of the pieces and, when it is
/// through with that, takes from the shares of the others; so a slow or descheduled thread holds nobody up: whoever
/// finds no piece left is done, and the poster waits only for pieces under way. Workers spin for about 50 µs after a
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
      withExtendedLifetime(work) { state.post(TeamJob(work: .passUnretained(work), count: count, order: order)) }
    }
  }
}

/// What a job does. A constant of a class is called without counting a reference to it, which all threads would do on one
/// cache line.
private final class PieceWork {
  let body: (Int, Int) -> Void

  init(_ body: @escaping (Int, Int) -> Void) {
    self.body = body
  }
}

/// One job; `work` is valid until the poster returns.
private struct TeamJob {
  var work: Unmanaged<PieceWork>
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
///
/// What one thread writes and another reads costs some 50 ns each time, so a job is announced, entered, left and closed
/// through one word, and the counters of the shares need not be reset: they carry the job's number.
private final class TeamState: @unchecked Sendable {
  private var job: TeamJob?
  private let shareCount: Int
  private let counters: SpacedCounters
  private let sleep = SleepCondition()

  /// Pauses before a waiting thread starts to yield: about 50 µs, longer than what lies between two jobs of a token.
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

  var sleepingThreadCount: Int { Int(counters.sleeperCount.pointee.load(ordering: .relaxed)) }

  func post(_ job: TeamJob) {
    self.job = job
    let number = JobWord(counters.word.pointee.load(ordering: .relaxed)).number &+ 1
    // Numbers start again after 4 billion jobs; a counter must not take the old 0 for this one.
    if number == 0 { for share in 0..<shareCount { counters.taken(share).pointee.store(0, ordering: .relaxed) } }
    counters.word.pointee.wrappingAdd(JobWord.opening, ordering: .sequentiallyConsistent)
    if counters.sleeperCount.pointee.load(ordering: .sequentiallyConsistent) > 0 { sleep.wakeAll() }
    takePieces(of: job, number: number, thread: 0)
    // From here on a late worker sees the job closed.
    var word = JobWord(
      counters.word.pointee.wrappingSubtract(JobWord.openBit, ordering: .acquiringAndReleasing).newValue)
    var waited = 0
    while word.insideCount > 0 {
      waited += 1
      if waited < spinCount { fovea_spin_pause() } else { sched_yield() }
      word = JobWord(counters.word.pointee.load(ordering: .acquiring))
    }
    self.job = nil
  }

  /// The thread's own share first, then what is left of the others'.
  private func takePieces(of job: TeamJob, number: UInt32, thread: Int) {
    job.work._withUnsafeGuaranteedRef { work in
      for offset in 0..<shareCount {
        let share = (thread + offset) % shareCount
        let pieceCount = job.pieceCount(ofShare: share, of: shareCount)
        while let index = takePiece(ofShare: share, number: number, below: pieceCount) {
          work.body(job.piece(index, ofShare: share, of: shareCount), thread)
        }
      }
    }
  }

  /// The next piece of a share; nil if none is left. The upper half of a counter is the number of the job that it was
  /// last used for: with another one nothing has been taken yet.
  private func takePiece(ofShare share: Int, number: UInt32, below count: Int) -> Int? {
    let counter = counters.taken(share)
    let tag = UInt64(number) << 32
    var seen = counter.pointee.load(ordering: .relaxed)
    while true {
      let index = seen >= tag && seen - tag < 1 << 32 ? seen - tag : 0
      guard index < count else { return nil }
      let (isMine, current) = counter.pointee.compareExchange(
        expected: seen, desired: tag + index + 1, ordering: .relaxed)
      if isMine { return Int(index) }
      seen = current
    }
  }

  func workerLoop(index: Int) {
    var seen: UInt32 = 0
    while true {
      waitForJob(after: seen)
      let word = JobWord(counters.word.pointee.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue)
      seen = word.number
      // Asked after the number is taken: a late worker may find the end's number where it was woken for the last job's,
      // and nothing would wake it again.
      if counters.isShutDown.pointee.load(ordering: .acquiring) != 0 { return }
      if word.isOpen, let job { takePieces(of: job, number: seen, thread: index) }
      counters.word.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
  }

  private func waitForJob(after seen: UInt32) {
    func isWaiting() -> Bool { JobWord(counters.word.pointee.load(ordering: .acquiring)).number == seen }
    for _ in 0..<spinCount {
      guard isWaiting() else { return }
      fovea_spin_pause()
    }
    for _ in 0..<TeamState.yieldCount {
      guard isWaiting() else { return }
      sched_yield()
    }
    counters.sleeperCount.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    sleep.wait { JobWord(counters.word.pointee.load(ordering: .sequentiallyConsistent)).number == seen }
    counters.sleeperCount.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }

  func shutDown() {
    counters.isShutDown.pointee.store(1, ordering: .releasing)
    counters.word.pointee.wrappingAdd(JobWord.nextNumber, ordering: .sequentiallyConsistent)
    sleep.wakeAll()
  }
}

/// The number of the latest job, whether it is open, and how many workers are looking at it or at work on it.
private struct JobWord {
  static let nextNumber: UInt64 = 1 << 32
  static let openBit: UInt64 = 1 << 31
  /// What makes a closed job the next one, open.
  static let opening = nextNumber + openBit

  private let word: UInt64

  init(_ word: UInt64) { self.word = word }

  var number: UInt32 { UInt32(truncatingIfNeeded: word >> 32) }
  var isOpen: Bool { word & Self.openBit != 0 }
  var insideCount: UInt64 { word & (Self.openBit - 1) }
}

/// The atomic numbers of a team, each on cache lines of its own: a thread that spins on one does not hinder the others.
/// Owned by the team's state, which frees them when its last thread is gone.
private struct SpacedCounters {
  private let base: UnsafeMutablePointer<Atomic<UInt64>>
  private let count: Int
  /// Processors fetch lines in pairs of 64 bytes.
  private static let spacing = 128 / MemoryLayout<Atomic<UInt64>>.stride

  init(shareCount: Int) {
    count = 3 + shareCount
    let slotCount = count * SpacedCounters.spacing
    base = UnsafeMutableRawPointer.allocate(
      byteCount: slotCount * MemoryLayout<Atomic<UInt64>>.stride, alignment: 128
    ).bindMemory(to: Atomic<UInt64>.self, capacity: slotCount)
    for index in 0..<count { slot(index).initialize(to: Atomic(0)) }
  }

  func deallocate() {
    for index in 0..<count { slot(index).deinitialize(count: 1) }
    base.deallocate()
  }

  private func slot(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { base + index * SpacedCounters.spacing }

  /// A ``JobWord``.
  var word: UnsafeMutablePointer<Atomic<UInt64>> { slot(0) }
  var sleeperCount: UnsafeMutablePointer<Atomic<UInt64>> { slot(1) }
  var isShutDown: UnsafeMutablePointer<Atomic<UInt64>> { slot(2) }
  /// A job's number, and how many pieces of the share have been taken.
  func taken(_ share: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { slot(3 + share) }
}

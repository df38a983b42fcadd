internal import CFoveaKernels
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Persistent threads that share the pieces of one job at a time with the thread that posts it.
///
/// Posting costs one atomic increment while the workers spin. A worker takes pieces from a common counter, so a slow or
/// descheduled one holds nobody up: whoever finds no piece left is done, and the poster waits only for pieces under
/// way. Workers spin for about 100 µs after a job, then yield for a while, then sleep.
final class ThreadTeam: Sendable {
  /// The poster's thread and the workers.
  let threadCount: Int
  private let state: State
  private let threads: [ThreadHandle]

  /// Starts `threadCount` − 1 workers; fewer if the system refuses more threads.
  init(threadCount: Int) {
    let state = State()
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
  func forEachPiece(_ count: Int, _ body: (_ piece: Int, _ thread: Int) -> Void) {
    guard threads.count > 0, count > 1 else {
      for piece in 0..<count { body(piece, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: body) { state.post(count: count, body: $0) }
    }
  }
}

/// What the threads of a team share. `body` and `count` are written by the poster only while the job is closed and no
/// worker is inside, and read by workers only while it is open: hence `@unchecked Sendable`.
private final class State: @unchecked Sendable {
  typealias Body = (Int, Int) -> Void

  private var body: UnsafePointer<Body>?
  private var count = 0
  private let next = Atomic<Int>(0)
  private let isOpen = Atomic<Bool>(false)
  private let insideCount = Atomic<Int>(0)
  private let generation = Atomic<Int>(0)
  private let sleeperCount = Atomic<Int>(0)
  private let isShutDown = Atomic<Bool>(false)
  private let sleep = SleepCondition()

  /// Pauses before a waiting thread starts to yield: about 100 µs, longer than what lies between two jobs of a token.
  private static let spinCount = 3_000
  /// Yields before an idle worker sleeps: when the cores are free this is some 100 µs more.
  private static let yieldCount = 300

  func post(count: Int, body: UnsafePointer<Body>) {
    self.body = body
    self.count = count
    next.store(0, ordering: .relaxed)
    isOpen.store(true, ordering: .sequentiallyConsistent)
    generation.add(1, ordering: .sequentiallyConsistent)
    if sleeperCount.load(ordering: .sequentiallyConsistent) > 0 { sleep.wakeAll() }
    takePieces(thread: 0)
    // From here a late worker sees the job closed, or is counted inside: one of the two orders holds for both threads.
    isOpen.store(false, ordering: .sequentiallyConsistent)
    var waited = 0
    while insideCount.load(ordering: .sequentiallyConsistent) > 0 {
      waited += 1
      if waited < State.spinCount { fovea_spin_pause() } else { sched_yield() }
    }
    self.body = nil
  }

  private func takePieces(thread: Int) {
    guard let body else { return }
    while true {
      let piece = next.add(1, ordering: .relaxed).oldValue
      if piece >= count { return }
      body.pointee(piece, thread)
    }
  }

  func workerLoop(index: Int) {
    var seen = 0
    while true {
      seen = waitForJob(after: seen)
      if isShutDown.load(ordering: .acquiring) { return }
      insideCount.add(1, ordering: .sequentiallyConsistent)
      if isOpen.load(ordering: .sequentiallyConsistent) { takePieces(thread: index) }
      insideCount.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  private func waitForJob(after seen: Int) -> Int {
    for _ in 0..<State.spinCount {
      let current = generation.load(ordering: .acquiring)
      if current != seen { return current }
      fovea_spin_pause()
    }
    for _ in 0..<State.yieldCount {
      let current = generation.load(ordering: .acquiring)
      if current != seen { return current }
      sched_yield()
    }
    sleeperCount.add(1, ordering: .sequentiallyConsistent)
    sleep.wait { generation.load(ordering: .sequentiallyConsistent) == seen }
    sleeperCount.subtract(1, ordering: .sequentiallyConsistent)
    return generation.load(ordering: .acquiring)
  }

  func shutDown() {
    isShutDown.store(true, ordering: .releasing)
    generation.add(1, ordering: .sequentiallyConsistent)
    sleep.wakeAll()
  }
}

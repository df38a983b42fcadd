internal import Synchronization

/// What a job does. A constant of a class is called without counting a reference to it, which all threads would do on one
/// cache line.
final class PieceWork {
  let body: (Int, Int) -> Void

  init(_ body: @escaping (Int, Int) -> Void) {
    self.body = body
  }
}

/// One job, as a thread has read it. A late worker's may be over: its work must not be touched before a piece is taken.
struct TeamJob {
  let number: UInt32
  let count: Int
  let order: PieceOrder
  fileprivate let work: Unmanaged<PieceWork>

  /// How many of the pieces belong to a share.
  func pieceCount(ofShare share: Int, of shareCount: Int) -> Int {
    switch order {
    case .together: count * (share + 1) / shareCount - count * share / shareCount
    case .apart: (count - share + shareCount - 1) / shareCount
    }
  }

  /// Runs a piece that the caller has taken.
  func run(_ index: Int, ofShare share: Int, of shareCount: Int, thread: Int) {
    let piece =
      switch order {
      case .together: count * share / shareCount + index
      case .apart: index * shareCount + share
      }
    work._withUnsafeGuaranteedRef { $0.body(piece, thread) }
  }
}

/// The memory through which the threads of a team meet.
///
/// A cache line that one core writes and another reads takes 50 to 200 ns each time, so that few of them are on anybody's
/// way. The poster announces a job by stores to one line, which the spinning workers read, and needs no answer: a piece is
/// taken through the counter of its share, which carries the number of the job, and the job is over when as many pieces
/// are reported as it has. Nothing can be taken of a job that is over, so a worker that comes late does no harm. A worker
/// reports on the line of its own share.
///
/// Copies share the memory. Its owner frees it when the last thread is gone: hence `@unchecked Sendable`.
struct TeamLines: @unchecked Sendable {
  private typealias Number = UnsafeMutablePointer<Atomic<UInt64>>

  private let base: Number
  private let shareCount: Int
  /// Processors fetch lines in pairs of 64 bytes.
  private static let lineLength = 128 / MemoryLayout<Atomic<UInt64>>.stride
  /// Lines before those of the shares.
  private static let firstShare = 3
  /// A share that nobody touches for so many jobs would take an old number for a coming one.
  private static let renewalInterval: UInt32 = 1 << 30
  /// The lower half of a counter, in which pieces are counted; all of it are more than any job has.
  private static let pieceMask: UInt64 = 0xffff_ffff

  /// For jobs that are numbered from the one after `jobNumber` on.
  init(shareCount: Int, jobNumber: UInt32) {
    self.shareCount = shareCount
    let count = (Self.firstShare + shareCount) * Self.lineLength
    base = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Atomic<UInt64>>.stride, alignment: 128)
      .bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { (base + index).initialize(to: Atomic(0)) }
    announced.pointee.store(UInt64(jobNumber) << 1, ordering: .relaxed)
    renewShares(to: jobNumber)
  }

  func deallocate() {
    base.deinitialize(count: (Self.firstShare + shareCount) * Self.lineLength)
    base.deallocate()
  }

  private func line(_ index: Int) -> Number { base + index * Self.lineLength }

  // The announcement: twice the job's number, odd while the rest is being written; the address of its work; its pieces;
  // 1 where they lie apart.
  private var announced: Number { line(0) }
  private var work: Number { line(0) + 1 }
  private var pieceCount: Number { line(0) + 2 }
  private var isApart: Number { line(0) + 3 }
  // A share: the job that it was last used for, in the upper half, and how many of its pieces are taken; what its thread
  // has reported of pieces of any share, in the same way.
  private func taken(_ share: Int) -> Number { line(Self.firstShare + share) }
  private func reported(_ thread: Int) -> Number { line(Self.firstShare + thread) + 1 }

  /// Workers that sleep, or will soon unless there is a job.
  var drowsyCount: UnsafeMutablePointer<Atomic<UInt64>> { line(1) }
  var sleeperCount: UnsafeMutablePointer<Atomic<UInt64>> { line(1) + 1 }
  var isShutDown: UnsafeMutablePointer<Atomic<UInt64>> { line(2) }

  /// Opens the next job. The poster alone calls it, when the last job is over; the first piece of share 0 is its own and
  /// need not be taken.
  func announce(_ work: Unmanaged<PieceWork>, count: Int, order: PieceOrder) -> TeamJob {
    let number = nextNumber()
    if number % Self.renewalInterval == 0 { renewShares(to: number &- 1) }
    announced.pointee.store(UInt64(number) << 1 | 1, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
    self.work.pointee.store(UInt64(UInt(bitPattern: work.toOpaque())), ordering: .relaxed)
    pieceCount.pointee.store(UInt64(count), ordering: .relaxed)
    isApart.pointee.store(order == .apart ? 1 : 0, ordering: .relaxed)
    announced.pointee.store(UInt64(number) << 1, ordering: .releasing)
    return TeamJob(number: number, count: count, order: order, work: work)
  }

  /// Opens a job without pieces, for the workers to look up.
  func announceEnd() {
    announced.pointee.store(UInt64(nextNumber()) << 1, ordering: .sequentiallyConsistent)
  }

  private func nextNumber() -> UInt32 {
    UInt32(truncatingIfNeeded: announced.pointee.load(ordering: .relaxed) >> 1) &+ 1
  }

  /// Makes job `number` the last one of every share. It is over: all its pieces count as taken, or a worker that still
  /// holds it would run them again.
  private func renewShares(to number: UInt32) {
    for share in 0..<shareCount {
      taken(share).pointee.store(UInt64(number) << 32 | Self.pieceMask, ordering: .relaxed)
      reported(share).pointee.store(UInt64(number) << 32, ordering: .relaxed)
    }
  }

  /// The number of the latest job unless it is `seen`, or is being announced.
  func number(after seen: UInt32) -> UInt32? {
    let announcement = announced.pointee.load(ordering: .sequentiallyConsistent)
    let number = UInt32(truncatingIfNeeded: announcement >> 1)
    return announcement & 1 == 1 || number == seen ? nil : number
  }

  /// The job of that number; nil if it is over by now.
  func job(_ number: UInt32) -> TeamJob? {
    let address = UInt(work.pointee.load(ordering: .relaxed))
    let count = Int(pieceCount.pointee.load(ordering: .relaxed))
    let order: PieceOrder = isApart.pointee.load(ordering: .relaxed) == 1 ? .apart : .together
    // Has anything of this been written for a later job, its announcement is seen now.
    atomicMemoryFence(ordering: .acquiring)
    guard announced.pointee.load(ordering: .relaxed) == UInt64(number) << 1,
      let work = UnsafeRawPointer(bitPattern: address)
    else { return nil }
    return TeamJob(number: number, count: count, order: order, work: .fromOpaque(work))
  }

  /// The next of the `count` pieces of a share; nil if none is left, or the job is over.
  func takePiece(of job: TeamJob, share: Int, below count: Int) -> Int? {
    let counter = taken(share)
    var seen = counter.pointee.load(ordering: .relaxed)
    while true {
      let age = Int32(bitPattern: job.number &- UInt32(truncatingIfNeeded: seen >> 32))
      guard age >= 0 else { return nil }
      // For an older job's counter nothing is taken yet but the poster's first piece.
      let index = age == 0 ? Int(seen & Self.pieceMask) : share == 0 ? 1 : 0
      guard index < count else { return nil }
      let (isMine, current) = counter.pointee.compareExchange(
        expected: seen, desired: UInt64(job.number) << 32 + UInt64(index + 1), ordering: .relaxed)
      if isMine { return index }
      seen = current
    }
  }

  /// Says that a worker is through with `count` pieces of a job so far.
  func report(_ count: Int, of job: TeamJob, thread: Int) {
    reported(thread).pointee.store(UInt64(job.number) << 32 + UInt64(count), ordering: .releasing)
  }

  /// How many pieces of a job the workers have reported.
  func reportedPieces(of job: TeamJob) -> Int {
    var sum = 0
    for thread in 1..<shareCount {
      let report = reported(thread).pointee.load(ordering: .acquiring)
      if UInt32(truncatingIfNeeded: report >> 32) == job.number { sum += Int(report & Self.pieceMask) }
    }
    return sum
  }
}

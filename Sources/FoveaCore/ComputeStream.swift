package import CFoveaKernels
internal import Dispatch
internal import Synchronization

/// A named set of threads on which operations run one after another.
///
/// Operations on one stream run in the order in which they are posted; two streams run side by side. Results do not
/// depend on the number of threads. ``run(_:)`` uses the calling thread as one of the stream's threads; ``perform(_:)``
/// uses the stream's own, so that Swift's cooperative threads never compute.
public final class ComputeStream: Sendable {
  /// The name, which its threads carry too.
  public let name: String
  /// How many threads share an operation's work, the poster's included.
  public let threadCount: Int
  /// The kernels that operations use.
  public let instructionSet: InstructionSet

  private let team: ThreadTeam
  private let lock = Mutex<Void>(())
  /// The thread that holds `lock`; 0 for none. Lets operations call each other.
  private let owner = Atomic<UInt>(0)
  private let queue: DispatchQueue
  private let scratch: ScratchMemory
  /// Set and read inside operations only, by the thread that runs them and its workers.
  private nonisolated(unsafe) var profile: PhaseProfile?

  /// Makes a stream and starts its threads.
  ///
  /// - Parameters:
  ///   - threadCount: nil takes what the affinity mask and the control group's CPU quota allow.
  ///   - instructionSet: nil takes ``InstructionSet/selected()``.
  /// - Throws: ``InstructionSetError`` if `FOVEA_ISA` names an instruction set that cannot run here.
  public convenience init(
    name: String = "fovea", threadCount: Int? = nil, instructionSet: InstructionSet? = nil
  ) throws(InstructionSetError) {
    try self.init(name: name, threadCount: threadCount, instructionSet: instructionSet, jobNumber: 0)
  }

  /// The same for a stream whose jobs are numbered from the one after `jobNumber` on: numbers start again after 4 billion.
  package init(
    name: String = "fovea", threadCount: Int?, instructionSet: InstructionSet? = nil, jobNumber: UInt32
  ) throws(InstructionSetError) {
    precondition(threadCount.map { $0 > 0 } ?? true, "a stream needs at least one thread")
    self.name = name
    if let instructionSet {
      self.instructionSet = instructionSet
    } else {
      self.instructionSet = try .selected()
    }
    team = ThreadTeam(threadCount: threadCount ?? ProcessorCount.usable(), jobNumber: jobNumber)
    self.threadCount = team.threadCount
    queue = DispatchQueue(label: name)
    scratch = ScratchMemory(threadCount: team.threadCount)
  }

  /// The stream that operations use when none is named, with all threads that the process may use.
  ///
  /// - Throws: ``InstructionSetError`` if `FOVEA_ISA` names an instruction set that cannot run here.
  public static var shared: ComputeStream {
    get throws(InstructionSetError) { try sharedResult.get() }
  }

  private static let sharedResult = Result<ComputeStream, InstructionSetError> { () throws(InstructionSetError) in
    try ComputeStream(name: "fovea-shared")
  }

  /// Runs `body` as one operation on this stream, with the calling thread as its first thread; waits for its turn.
  ///
  /// May be called inside another operation of the same stream.
  public func run<Result>(_ body: () throws -> Result) rethrows -> Result {
    let caller = ThreadHandle.currentIdentity
    if owner.load(ordering: .relaxed) == caller { return try body() }
    return try lock.withLock { _ in
      owner.store(caller, ordering: .relaxed)
      defer { owner.store(0, ordering: .relaxed) }
      return try body()
    }
  }

  /// Runs `body` as one operation on the stream's own thread and suspends the task until it is done.
  public func perform<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(with: Swift.Result { try self.run(body) })
      }
    }
  }

  /// The kernel table where it lies, for the lifetime of the process.
  package var kernelTable: UnsafePointer<fovea_kernels> { instructionSet.kernels }

  /// Calls `body(piece, scratch)` for every piece below `count` on the stream's threads; returns when all are done.
  ///
  /// `scratch` is `scratchByteCount` bytes of the executing thread's own, 64-byte aligned, with old contents. Must be
  /// called inside an operation, and not from `body`.
  package func forEachPiece(
    _ count: Int, scratchByteCount: Int = 0, order: PieceOrder = .together,
    _ body: (_ piece: Int, _ scratch: UnsafeMutableRawPointer) -> Void
  ) {
    precondition(
      owner.load(ordering: .relaxed) == ThreadHandle.currentIdentity, "work is posted outside of ComputeStream.run")
    // Addresses, so that the threads count no references to the blocks.
    let blocks = scratch.reserve(scratchByteCount)
    if let profile {
      team.forEachPiece(count, order: order) { piece, thread in
        let start = PhaseProfile.now()
        body(piece, blocks[thread])
        profile.addWork(PhaseProfile.now() - start, thread: thread)
      }
      return
    }
    team.forEachPiece(count, order: order) { piece, thread in body(piece, blocks[thread]) }
  }

  /// Whether somebody measures the phases of this operation.
  package var isMeasured: Bool { profile != nil }

  /// Says that what follows in this operation belongs to `phase`, where somebody measures.
  package func begin(_ phase: ComputePhase) { profile?.begin(phase) }

  /// Runs `body` as one operation whose phases, and those of the operations inside, are added to `profile`.
  package func run<Result>(measuring profile: PhaseProfile, _ body: () throws -> Result) rethrows -> Result {
    try run {
      profile.begin(.other)
      self.profile = profile
      defer {
        self.profile = nil
        profile.begin(.other)
      }
      return try body()
    }
  }

  /// `byteCount` bytes that all threads of an operation may use, 64-byte aligned, with old contents; valid until the
  /// next call. Must be called inside an operation, and not from a piece.
  package func sharedScratch(byteCount: Int) -> UnsafeMutableRawPointer {
    scratch.reserveShared(byteCount)
  }

  /// The bytes of working memory that the stream's operations have needed so far, all threads together. It stays for
  /// the operations to come.
  package var scratchByteCount: Int { scratch.byteCount }

  /// Gives the working memory back. Must be called inside an operation, and not from a piece.
  package func releaseScratch() { scratch.release() }

  /// How many of the stream's threads sleep for want of work.
  package var sleepingThreadCount: Int { team.sleepingThreadCount }

  /// Splits `count` items into pieces of `grain` and calls `body` with each range, as ``forEachPiece``.
  package func forEachRange(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
    let step = max(1, grain)
    forEachPiece((count + step - 1) / step) { piece, _ in
      body(piece * step..<min(count, (piece + 1) * step))
    }
  }
}

/// One block of memory for each thread and one for all of them, grown on demand. Used only by the thread inside an
/// operation, while its workers are idle; a worker gets the address of its block with the job: hence `@unchecked Sendable`.
private final class ScratchMemory: @unchecked Sendable {
  private var blocks: [TensorStorage]
  private var shared = TensorStorage(byteCount: 0)
  /// Where each block begins.
  private let addresses: UnsafeMutablePointer<UnsafeMutableRawPointer>

  init(threadCount: Int) {
    blocks = (0..<threadCount).map { _ in TensorStorage(byteCount: 0) }
    addresses = .allocate(capacity: threadCount)
    for (index, block) in blocks.enumerated() { (addresses + index).initialize(to: block.baseAddress) }
  }

  deinit { addresses.deallocate() }

  /// Makes every block hold at least `byteCount` bytes; gives where they begin, until the next call.
  func reserve(_ byteCount: Int) -> UnsafePointer<UnsafeMutableRawPointer> {
    if blocks[0].byteCount < byteCount { resize(to: byteCount) }
    return UnsafePointer(addresses)
  }

  private func resize(to byteCount: Int) {
    for index in blocks.indices {
      blocks[index] = TensorStorage(uninitializedByteCount: byteCount)
      addresses[index] = blocks[index].baseAddress
    }
  }

  var byteCount: Int { blocks.reduce(shared.byteCount) { $0 + $1.byteCount } }

  func release() {
    resize(to: 0)
    shared = TensorStorage(byteCount: 0)
  }

  func reserveShared(_ byteCount: Int) -> UnsafeMutableRawPointer {
    if shared.byteCount < byteCount { shared = TensorStorage(uninitializedByteCount: byteCount) }
    return shared.baseAddress
  }
}

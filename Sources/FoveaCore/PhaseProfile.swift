internal import Dispatch

/// A part of an operation, for ``PhaseProfile``.
package enum ComputePhase: Int, CaseIterable, Sendable {
  case other
  case embedding
  case norms
  case projections
  case positions
  case attention
  case outputProjection
  case feedForward
  case head
  case sampling
}

/// Where the time of a stream's operations goes, phase by phase.
///
/// Times are in nanoseconds. `wall` is the time between the marks, `work` what the threads spent inside pieces, all of
/// them together; what is left of `threadCount · wall` is waiting, handing out and serial code. The marks are set by the
/// thread that runs the operation; a worker adds to counters of its own: hence `@unchecked Sendable`.
package final class PhaseProfile: @unchecked Sendable {
  package let threadCount: Int
  private var wall = [UInt64](repeating: 0, count: ComputePhase.allCases.count)
  private let work: UnsafeMutablePointer<UInt64>
  private var phase = ComputePhase.other
  private var lastMark = PhaseProfile.now()
  /// Counters of a thread, on cache lines of their own.
  private static let spacing = 32

  package init(threadCount: Int) {
    self.threadCount = threadCount
    work = .allocate(capacity: threadCount * PhaseProfile.spacing)
    work.initialize(repeating: 0, count: threadCount * PhaseProfile.spacing)
  }

  deinit { work.deallocate() }

  static func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

  /// What follows belongs to `phase`.
  package func begin(_ phase: ComputePhase) {
    let now = PhaseProfile.now()
    wall[self.phase.rawValue] += now - lastMark
    lastMark = now
    self.phase = phase
  }

  func addWork(_ nanoseconds: UInt64, thread: Int) {
    work[thread * PhaseProfile.spacing + phase.rawValue] += nanoseconds
  }

  package func wallNanoseconds(_ phase: ComputePhase) -> UInt64 { wall[phase.rawValue] }

  package func workNanoseconds(_ phase: ComputePhase) -> UInt64 {
    (0..<threadCount).reduce(0) { $0 + work[$1 * PhaseProfile.spacing + phase.rawValue] }
  }
}

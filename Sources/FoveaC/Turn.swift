internal import CFovea
internal import Synchronization

/// Lets one call at a time use an object; another one, also from inside the first, is told so instead of waiting.
final class Turn: Sendable {
  private let isTaken = Atomic<Bool>(false)

  /// Runs `body` alone, or throws `FOVEA_BUSY`.
  func take<Result>(_ kind: HandleKind, _ body: () throws -> Result) throws -> Result {
    guard !isTaken.exchange(true, ordering: .acquiring) else {
      throw CallFault(FOVEA_BUSY, "another call uses the \(kind)")
    }
    defer { isTaken.store(false, ordering: .releasing) }
    return try body()
  }
}

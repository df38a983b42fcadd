internal import Synchronization

/// The end of a sequence of events where they go in: passes on at once while the reader keeps up, then waits for it, so
/// that an endless text takes no endless memory.
///
/// Used by one generation, which sends and catches up in turns.
final class EventOutlet: Sendable {
  /// How many events lie before the reader at most, but for those of one slice of work.
  static let capacity = 4096
  /// How often a reader that is behind is looked after.
  private static let pause = Duration.milliseconds(5)

  private let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  /// What did not fit, oldest first.
  private let waiting = Mutex<[GenerationEvent]>([])

  init(_ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation) {
    self.continuation = continuation
  }

  /// Passes an event on, or keeps it for ``catchUp()``.
  func send(_ event: GenerationEvent) {
    waiting.withLock { waiting in
      if waiting.isEmpty, passOn(event) { return }
      waiting.append(event)
    }
  }

  /// Waits until everything that was sent lies before the reader, or nobody reads any more.
  func catchUp() async throws {
    while true {
      let isDone = waiting.withLock { waiting in
        waiting.removeFirst(waiting.prefix { passOn($0) }.count)
        return waiting.isEmpty
      }
      if isDone { return }
      try await Task.sleep(for: Self.pause)
    }
  }

  /// False where there is no room. Events for a reader that has left are gone.
  private func passOn(_ event: GenerationEvent) -> Bool {
    if case .dropped = continuation.yield(event) { false } else { true }
  }
}

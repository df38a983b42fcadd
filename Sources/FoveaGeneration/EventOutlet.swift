internal import Synchronization

/// The end of a sequence of events where they go in. They pass on in bunches while the reader keeps up; then they wait for
/// it, so that an endless text takes no endless memory.
///
/// Used by one generation, which sends and catches up in turns.
final class EventOutlet: Sendable {
  /// How many events lie before the reader at most, but for those of one slice of work.
  static let capacity = 4096
  /// How often a reader that is behind is looked after.
  private static let pause = Duration.milliseconds(5)
  /// Waking the reader takes a core from the threads that compute: for each token of a small model that would be more than
  /// a tenth of its time. So events that follow others within this time wait for the next ones or for ``catchUp()``, less
  /// than anybody sees.
  private static let interval = Duration.milliseconds(10)

  private struct State {
    /// What has not passed yet, oldest first.
    var waiting: [GenerationEvent] = []
    /// When events last passed.
    var lastTime: ContinuousClock.Instant?
  }

  private let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  private let state = Mutex(State())

  init(_ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation) {
    self.continuation = continuation
  }

  /// Passes an event on, or keeps it for later.
  func send(_ event: GenerationEvent) {
    state.withLock { state in
      state.waiting.append(event)
      let now = ContinuousClock.now
      if let last = state.lastTime, now - last < Self.interval { return }
      state.lastTime = now
      passOn(&state.waiting)
    }
  }

  /// Waits until everything that was sent lies before the reader, or nobody reads any more.
  func catchUp() async throws {
    while true {
      let isDone = state.withLock { state in
        passOn(&state.waiting)
        return state.waiting.isEmpty
      }
      if isDone { return }
      try await Task.sleep(for: Self.pause)
    }
  }

  /// Passes on as many events as there is room for. Events for a reader that has left are gone.
  private func passOn(_ events: inout [GenerationEvent]) {
    let passed = events.prefix { event in
      if case .dropped = continuation.yield(event) { false } else { true }
    }
    events.removeFirst(passed.count)
  }
}

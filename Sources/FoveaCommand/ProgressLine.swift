import Synchronization

/// One line on standard error that says what takes so long; only on a terminal and only after two seconds.
final class ProgressLine: Sendable {
  private struct State {
    var text: String
    var isVisible = false
    var isFinished = false
  }

  private let state: Mutex<State>
  private static let erase = "\r\u{1B}[K"

  /// Begins to wait.
  init(_ text: String) {
    state = Mutex(State(text: text))
    guard StandardStream.error.isTerminal else { return }
    Task { [weak self] in
      try await Task.sleep(for: .seconds(2))
      self?.state.withLock { state in
        guard !state.isFinished else { return }
        state.isVisible = true
        ProgressLine.draw(state.text)
      }
    }
  }

  /// Says something else from now on.
  func update(_ text: String) {
    state.withLock { state in
      state.text = text
      if state.isVisible, !state.isFinished { ProgressLine.draw(text) }
    }
  }

  /// Takes the line away.
  func finish() {
    state.withLock { state in
      if state.isVisible, !state.isFinished { StandardStream.error.writeIgnoringFailure(ProgressLine.erase) }
      state.isFinished = true
    }
  }

  private static func draw(_ text: String) {
    StandardStream.error.writeIgnoringFailure(erase + text)
  }
}

/// A bar of 24 columns, filled to `share` of it, from 0 to 1.
func progressBar(_ share: Double) -> String {
  let width = 24
  let filled = min(width, max(0, Int(share * Double(width))))
  return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
}

import Fovea

/// A bar with the running value and the time left.
final class EvaluationProgress {
  private let line = ProgressLine("reading the model and the text")
  private let clock = ContinuousClock()
  private var lastUpdate: ContinuousClock.Instant?

  /// Shows `figure` with how much is done, at most ten times a second.
  ///
  /// - Parameters:
  ///   - doneCount: of `count` parts; `resumedCount` of them cost no time in this run.
  ///   - duration: how long the others took.
  func update(_ figure: @autoclosure () -> String, doneCount: Int, resumedCount: Int, count: Int, duration: Duration) {
    let now = clock.now
    if let lastUpdate, now - lastUpdate < .milliseconds(100) { return }
    lastUpdate = now
    line.update(
      EvaluationProgress.text(
        figure(), doneCount: doneCount, resumedCount: resumedCount, count: count, duration: duration))
  }

  func finish() { line.finish() }

  static func text(_ figure: String, doneCount: Int, resumedCount: Int, count: Int, duration: Duration) -> String {
    var text = "\(progressBar(count > 0 ? Double(doneCount) / Double(count) : 1)) \(doneCount)/\(count)  \(figure)"
    let newCount = doneCount - resumedCount
    if newCount > 0 {
      let seconds = Int((duration.seconds / Double(newCount) * Double(count - doneCount)).rounded(.up))
      let minutes = seconds / 60 % 60
      let clockText = seconds >= 3600 ? "\(seconds / 3600):" + twoDigits(minutes) : String(minutes)
      text += "  \(clockText):\(twoDigits(seconds % 60)) left"
    }
    return text
  }

  private static func twoDigits(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
}

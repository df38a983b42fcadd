import Fovea
import FoveaCore

/// The timing of repetitions, each in turn with the reading of what they read.
struct TimesBesideReading: Sendable {
  /// Seconds of every repetition.
  private(set) var times: [Double] = []
  /// Bytes per second of the readings; none where there was nothing to read.
  private var readingPaces: [Double] = []

  /// Bytes per second, at which the same memory is read and nothing else; nil where there was nothing to read.
  var readingPace: Double? { readingPaces.isEmpty ? nil : readingPaces.median }

  /// Notes a repetition, and reads the memory `count` times.
  mutating func add(_ seconds: Double, thenReading reader: MemoryReader, count: Int = 1, on stream: ComputeStream) {
    times.append(seconds)
    guard reader.byteCount > 0 else { return }
    let readingSeconds = (0..<count).reduce(0) { sum, _ in sum + reader.secondsToRead(on: stream) }
    readingPaces.append(Double(reader.byteCount * count) / readingSeconds)
  }
}

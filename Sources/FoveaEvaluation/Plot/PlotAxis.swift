/// An axis: where values lie on it, and which are marked.
struct PlotAxis {
  /// The values at its ends.
  let range: ClosedRange<Double>
  /// Whether equal ratios are equally far apart.
  let isLogarithmic: Bool
  /// The marked values, ascending.
  let ticks: [Double]

  /// An axis from 0 to `maximum`, which is positive.
  init(to maximum: Double) {
    range = 0...maximum
    isLogarithmic = false
    ticks = PlotAxis.multiples(of: PlotAxis.step(maximum / 8), in: range)
  }

  /// A logarithmic axis that holds `minimum` to `maximum`, both positive.
  init(logarithmicFrom minimum: Double, to maximum: Double) {
    isLogarithmic = true
    // A twentieth of room at both ends, and never a single value.
    let margin = max(exponential((maximum / minimum).naturalLogarithm / 20), 1.05)
    let range = minimum / margin...maximum * margin
    self.range = range
    let ratio = range.upperBound / range.lowerBound
    if ratio < 8 {
      ticks = PlotAxis.multiples(of: PlotAxis.step((range.upperBound - range.lowerBound) / 6), in: range)
    } else {
      // Tens; with their doubles and fives where these leave room.
      let factors = ratio < 2e3 ? [1.0, 2, 5] : [1.0]
      var power = 1e-3
      var ticks: [Double] = []
      while power <= range.upperBound, power < 1e300 {
        ticks += factors.map { $0 * power }.filter(range.contains)
        power *= 10
      }
      let every = max(1, (ticks.count + 8) / 9)
      self.ticks = ticks.enumerated().filter { $0.offset % every == 0 }.map(\.element)
    }
  }

  /// Where `value` lies, from 0 at the axis's beginning to 1 at its end.
  func place(_ value: Double) -> Double {
    guard isLogarithmic else { return (value - range.lowerBound) / (range.upperBound - range.lowerBound) }
    return (value / range.lowerBound).naturalLogarithm / (range.upperBound / range.lowerBound).naturalLogarithm
  }

  /// 1, 2 or 5 times a power of ten, at least `value`.
  static func step(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 1 }
    var power = 1.0
    while power * 10 <= value { power *= 10 }
    while power > value { power /= 10 }
    return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value * 0.999 } ?? 10 * power
  }

  private static func multiples(of step: Double, in range: ClosedRange<Double>) -> [Double] {
    let first = Int((range.lowerBound / step - 1e-9).rounded(.up))
    let last = Int((range.upperBound / step + 1e-9).rounded(.down))
    return first <= last ? (first...last).map { Double($0) * step } : []
  }
}

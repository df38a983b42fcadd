/// The first place where `actual` is further than `absolute` + `relative`·|expected| from `expected`; nil if there is
/// none. NaN matches only NaN, and infinities only themselves.
public func firstMismatch(
  _ actual: [Double], _ expected: [Double], absolute: Double, relative: Double = 0
) -> String? {
  guard actual.count == expected.count else { return "\(actual.count) values instead of \(expected.count)" }
  for (index, (got, wanted)) in zip(actual, expected).enumerated() {
    if got.isNaN && wanted.isNaN || got == wanted { continue }
    let error = abs(got - wanted)
    if error <= absolute + relative * abs(wanted) { continue }
    return "at \(index): expected \(wanted), got \(got)"
  }
  return nil
}

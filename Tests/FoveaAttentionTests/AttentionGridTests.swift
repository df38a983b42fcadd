import Foundation
import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// The grid of everything that the op takes: cases drawn from it, always the same ones, and on demand all of it.
@Suite struct AttentionGridTests {
  static let partCount = 8

  @Test(
    "cases drawn from the whole grid agree with double precision on every instruction set", arguments: 0..<partCount)
  func grid(part: Int) throws {
    let streams = try testStreams()
    for (attentionCase, seed) in Self.drawnCases(part: part) {
      let mismatch = try attentionCase.firstMismatch(on: streams, seed: seed)
      #expect(mismatch == nil, "\(mismatch ?? "")")
    }
  }

  @Test("the drawn cases hold every value of every axis of the grid, for each element type")
  func everyAxisOccurs() {
    let drawn = (0..<Self.partCount).flatMap { Self.drawnCases(part: $0).map(\.0) }
    for elementType in Grid.elementTypes {
      let cases = drawn.filter { $0.elementType == elementType }
      #expect(Set(cases.map { $0.headCount / $0.keyValueHeadCount }) == Set(Grid.headRatios))
      #expect(Set(cases.map(\.queryLength)) == Set(Grid.queryLengths))
      #expect(Set(cases.map(\.keyLength)) == Set(Grid.keyLengths))
      #expect(Set(cases.map(\.headDimension)) == Set(Grid.headDimensions))
      #expect(Set(cases.map(\.layout)) == Set(AttentionCase.Layout.allCases))
      #expect(Set(cases.map(\.maskKind)) == Set(AttentionCase.MaskKind.allCases))
    }
  }

  /// `FOVEA_FULL_GRID=1/1` runs the whole grid and takes about half an hour; `3/20` is the third of twenty parts, each a
  /// mixture of all axes. The scalar table, a thousand times slower than the others, sits out the large cases.
  @Test(
    "every case of the grid agrees with double precision",
    .enabled(if: ProcessInfo.processInfo.environment["FOVEA_FULL_GRID"] != nil))
  func fullGrid() throws {
    let numbers = try #require(ProcessInfo.processInfo.environment["FOVEA_FULL_GRID"]).split(separator: "/")
    let part = try #require(numbers.first.flatMap { Int($0) }, "expected FOVEA_FULL_GRID=PART/COUNT")
    let partCount = try #require(numbers.last.flatMap { Int($0) }, "expected FOVEA_FULL_GRID=PART/COUNT")
    let all = try testStreams()
    let fast = all.filter { $0.instructionSet.name != "scalar" }
    var worst: [ElementType: Double] = [:]
    var (count, scalarCount) = (0, 0)
    for index in (part - 1) * Grid.count / partCount..<part * Grid.count / partCount {
      // Neighbours lie far apart in the grid: 7919 is prime, so each case still comes once.
      var attentionCase = Grid.attentionCase(index * 7919 % Grid.count)
      attentionCase.compareRows(ofThree: true)
      attentionCase.allowsRoundedWeights = true
      let isSmall = attentionCase.multiplicationCount <= 2_000_000
      let elementType = attentionCase.elementType
      let mismatch = try attentionCase.firstMismatch(
        on: isSmall ? all : fast, seed: UInt64(index), worstError: &worst[elementType, default: 0])
      #expect(mismatch == nil, "\(mismatch ?? "")")
      (count, scalarCount) = (count + 1, scalarCount + (isSmall ? 1 : 0))
    }
    let errors = Grid.elementTypes.map { "\($0) \(worst[$0] ?? 0)" }.joined(separator: ", ")
    let names = all.map(\.instructionSet.name).joined(separator: ", ")
    print("grid: \(count) of \(Grid.count) cases on \(names), \(scalarCount) on scalar; worst errors: \(errors)")
  }

  private static func drawnCases(part: Int) -> [(AttentionCase, seed: UInt64)] {
    var random = RandomValues(seed: UInt64(100 + part))
    return (0..<40).map { _ in
      var attentionCase = drawCase(&random)
      attentionCase.compareRows()
      return (attentionCase, random.next())
    }
  }

  private static func drawCase(_ random: inout RandomValues) -> AttentionCase {
    func draw<Element>(_ elements: [Element]) -> Element { elements[Int(random.next() % UInt64(elements.count))] }
    while true {
      let keyValueHeadCount = draw([1, 2, 3])
      let attentionCase = AttentionCase(
        batchCount: draw([1, 1, 2]), headCount: keyValueHeadCount * draw(Grid.headRatios),
        keyValueHeadCount: keyValueHeadCount, queryLength: draw(Grid.queryLengths),
        keyLength: draw(Grid.keyLengths), headDimension: draw(Grid.headDimensions),
        elementType: draw(Grid.elementTypes), layout: draw(AttentionCase.Layout.allCases),
        maskKind: draw(AttentionCase.MaskKind.allCases), hasSinks: random.next() % 2 == 0,
        options: AttentionOptions(window: draw([nil, nil, 50]), softCap: draw([nil, nil, 20])))
      // The scalar table takes about a nanosecond a multiplication, and a mask a head is the largest array.
      if attentionCase.multiplicationCount <= 50_000_000 { return attentionCase }
    }
  }
}

/// The axes, and their cases by number.
private enum Grid {
  static let elementTypes: [ElementType] = [.float32, .bfloat16, .float16]
  static let headRatios = [1, 2, 3, 4, 8]
  static let queryLengths = [1, 2, 7, 8, 64, 65, 127, 400]
  static let keyLengths = [1, 7, 43, 128, 237, 1031, 4096]
  static let headDimensions = [4, 32, 64, 72, 80, 96, 128, 192, 256]

  static let count =
    elementTypes.count * headRatios.count * queryLengths.count * keyLengths.count * headDimensions.count
    * AttentionCase.Layout.allCases.count * AttentionCase.MaskKind.allCases.count

  static func attentionCase(_ number: Int) -> AttentionCase {
    var rest = number
    func pick<Element>(_ elements: [Element]) -> Element {
      defer { rest /= elements.count }
      return elements[rest % elements.count]
    }
    return AttentionCase(
      headCount: pick(headRatios), queryLength: pick(queryLengths), keyLength: pick(keyLengths),
      headDimension: pick(headDimensions), elementType: pick(elementTypes), layout: pick(AttentionCase.Layout.allCases),
      maskKind: pick(AttentionCase.MaskKind.allCases))
  }
}

extension AttentionCase {
  fileprivate var multiplicationCount: Int { batchCount * headCount * queryLength * keyLength * headDimension }

  /// Rows at the ends and in between; the plain reference takes a few nanoseconds a multiplication.
  fileprivate mutating func compareRows(ofThree isShort: Bool = false) {
    let last = queryLength - 1
    let rows = isShort ? [0, last / 2, last] : [0, 1, last / 3, last / 2, last - 1, last]
    comparedRows = Array(Set(rows.filter { $0 >= 0 && $0 <= last })).sorted()
  }
}

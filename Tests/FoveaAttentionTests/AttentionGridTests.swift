import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// Cases drawn from the grid of everything that the op takes, always the same ones.
@Suite struct AttentionGridTests {
  @Test("cases drawn from the whole grid agree with double precision on every instruction set", arguments: 0..<8)
  func grid(part: Int) throws {
    let streams = try testStreams()
    var random = RandomValues(seed: UInt64(100 + part))
    for _ in 0..<40 {
      var attentionCase = drawCase(&random)
      // Rows at the ends and in between; the plain reference takes a few nanoseconds a multiplication.
      let last = attentionCase.queryLength - 1
      attentionCase.comparedRows = Array(
        Set([0, 1, last / 3, last / 2, last - 1, last].filter { $0 >= 0 && $0 <= last })
      )
      .sorted()
      let mismatch = try attentionCase.firstMismatch(on: streams, seed: random.next())
      #expect(mismatch == nil, "\(mismatch ?? "")")
    }
  }

  private func drawCase(_ random: inout RandomValues) -> AttentionCase {
    func draw<Element>(_ elements: [Element]) -> Element { elements[Int(random.next() % UInt64(elements.count))] }
    while true {
      let keyValueHeadCount = draw([1, 2, 3])
      let attentionCase = AttentionCase(
        batchCount: draw([1, 1, 2]), headCount: keyValueHeadCount * draw([1, 2, 3, 4, 8]),
        keyValueHeadCount: keyValueHeadCount, queryLength: draw([1, 2, 7, 8, 64, 65, 127, 400]),
        keyLength: draw([1, 7, 43, 128, 237, 1031, 4096]), headDimension: draw([4, 32, 64, 72, 80, 96, 128, 192, 256]),
        elementType: draw([.float32, .bfloat16, .float16]), layout: draw(AttentionCase.Layout.allCases),
        maskKind: draw(AttentionCase.MaskKind.allCases), hasSinks: random.next() % 2 == 0,
        options: AttentionOptions(window: draw([nil, nil, 50]), softCap: draw([nil, nil, 20])))
      // The scalar table takes about a nanosecond a multiplication, and a mask a head is the largest array.
      let multiplications =
        attentionCase.batchCount * attentionCase.headCount * attentionCase.queryLength * attentionCase.keyLength
        * attentionCase.headDimension
      if multiplications <= 50_000_000 { return attentionCase }
    }
  }
}

import FoveaAttention
import FoveaCore
import Testing

@Suite struct AttentionErrorTests {
  private func error(
    queries: Tensor = Tensor(zeros: [1, 4, 3, 8]), keys: Tensor = Tensor(zeros: [1, 2, 5, 8]),
    values: Tensor = Tensor(zeros: [1, 2, 5, 8]), mask: AttentionMask = .none, sinks: Tensor? = nil,
    options: AttentionOptions = AttentionOptions()
  ) -> AttentionError? {
    do {
      _ = try scaledDotProductAttention(
        queries: queries, keys: keys, values: values, scale: 1, mask: mask, sinks: sinks, options: options)
      return nil
    } catch {
      return error as? AttentionError
    }
  }

  @Test("a fitting call does not throw")
  func fits() {
    #expect(error() == nil)
  }

  @Test("shapes that do not fit are named")
  func shapes() {
    let rank = error(queries: Tensor(zeros: [4, 3, 8]))
    #expect(rank?.kind == .rank)
    #expect(
      rank?.description
        == "scaledDotProductAttention: queries, keys and values must have 4 dimensions; got queries [4, 3, 8], keys [1, 2, 5, 8], values [1, 2, 5, 8]"
    )
    #expect(error(queries: Tensor(zeros: [2, 4, 3, 8]))?.kind == .batch)
    #expect(error(queries: Tensor(zeros: [1, 4, 3, 16]))?.kind == .headDimension)
    #expect(error(queries: Tensor(zeros: [1, 3, 3, 8]))?.kind == .headCount)
    #expect(error(values: Tensor(zeros: [1, 1, 5, 8]))?.kind == .headCount)
    #expect(error(keys: Tensor(zeros: [1, 0, 5, 8]), values: Tensor(zeros: [1, 0, 5, 8]))?.kind == .headCount)
    #expect(error(values: Tensor(zeros: [1, 2, 6, 8]))?.kind == .keyLength)
    #expect(error(queries: Tensor(zeros: [1, 4, 3, 8], elementType: .int32))?.kind == .elementType)
  }

  @Test("masks and sinks that do not fit are named")
  func masks() {
    #expect(error(mask: .array(Tensor(zeros: [1, 1, 1, 3, 5])))?.kind == .mask)
    #expect(error(mask: .array(Tensor(zeros: [3, 4])))?.description.contains("[3, 4]") == true)
    #expect(error(mask: .array(Tensor(zeros: [3, 5], elementType: .int32)))?.kind == .mask)
    #expect(error(mask: .array(Tensor(zeros: [3, 5], elementType: .float64)))?.kind == .mask)
    #expect(error(mask: .array(Tensor(zeros: [3, 5], elementType: .float16))) == nil)
    #expect(error(mask: .array(Tensor(zeros: [], elementType: .bool))) == nil)
    #expect(error(sinks: Tensor(zeros: [2]))?.kind == .sinks)
    #expect(error(sinks: Tensor(zeros: [4], elementType: .float64))?.kind == .sinks)
  }

  @Test("options out of range are named")
  func options() {
    #expect(error(options: AttentionOptions(window: 0))?.kind == .options)
    #expect(error(options: AttentionOptions(softCap: -1))?.kind == .options)
    #expect(error(options: AttentionOptions(softCap: .nan))?.kind == .options)
    #expect(error(options: AttentionOptions(packedLengths: [3, 3]))?.kind == .options)
    #expect(error(options: AttentionOptions(packedLengths: [-1, 6]))?.kind == .options)
  }
}

import CFoveaKernels
import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// Keys and values that come out of memory are asked for otherwise, which must change nothing but the pace.
@Suite struct MemoryPaceTests {
  /// One row for each query head over keys and values whose positions lie side by side, or heads side by side.
  private func outputs(
    keyLength: Int, dimension: Int, _ elementType: ElementType, headsTogether: Bool, comesFromMemory: Bool,
    on stream: ComputeStream
  ) -> [Double] {
    let (headCount, keyValueHeadCount) = (6, 2)
    var random = RandomValues(seed: UInt64(keyLength * dimension))
    func tensor(_ heads: Int, _ length: Int) -> Tensor {
      Tensor(
        random.values(heads * length * dimension), shape: [1, heads, length, dimension], elementType: elementType)
    }
    let (queries, keys, values) =
      (tensor(headCount, 1), tensor(keyValueHeadCount, keyLength), tensor(keyValueHeadCount, keyLength))
    let outputs = Tensor(zeros: [1, headCount, 1, dimension], elementType: elementType)
    let rowStrides = AttentionStrides(batch: 0, head: dimension, position: dimension)
    let strides =
      headsTogether
      ? AttentionStrides(batch: 0, head: dimension, position: keyValueHeadCount * dimension)
      : AttentionStrides(batch: 0, head: keyLength * dimension, position: dimension)
    let type = elementType.kernelElement
    let engine = AttentionEngine(
      problem: AttentionProblem(
        headCount: headCount, keyValueHeadCount: keyValueHeadCount, queryLength: 1, keyLength: keyLength,
        headDimension: dimension, resultType: elementType),
      queries: queries.baseAddress, queryType: type, queryStrides: rowStrides, keyType: type, valueType: type,
      segments: [
        KeyValueSegment(
          keys: keys.baseAddress, keyStrides: strides, values: values.baseAddress, valueStrides: strides,
          count: keyLength)
      ],
      outputs: outputs.baseAddress, outputType: type, outputStrides: rowStrides, scale: 0.2,
      visibleKeys: VisibleKeys(queryLength: 1, keyLength: keyLength, isCausal: true, options: AttentionOptions()),
      comesFromMemory: comesFromMemory)
    withExtendedLifetime((queries, keys, values)) { stream.run { engine.run(on: stream) } }
    return outputs.doubles()
  }

  @Test("out of memory or out of a cache the results have the same bits", arguments: [true, false])
  func sameBits(headsTogether: Bool) throws {
    for stream in try testStreams() {
      for elementType in [ElementType.float32, .bfloat16, .float16] {
        for dimension in [32, 64, 80, 128, 256] {
          for keyLength in [1, 17, 256, 300, 1100] {
            let results = [false, true].map {
              outputs(
                keyLength: keyLength, dimension: dimension, elementType, headsTogether: headsTogether,
                comesFromMemory: $0, on: stream)
            }
            #expect(results[0] == results[1], "\(stream.name) \(elementType) \(dimension) \(keyLength)")
            #expect(results[0].allSatisfy(\.isFinite) && results[0].contains { $0 != 0 })
          }
        }
      }
    }
  }
}

import CFoveaKernels
import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// The engine over a sequence whose earlier blocks are in codes.
@Suite struct CodedBlocksTests {
  static let blockLength = Int(FOVEA_KEY_BLOCK)

  /// Rows of a sequence and its codes, both in a ring; with the numbers that codes stand for.
  struct Sequence {
    let headCount = 6
    let keyValueHeadCount = 2
    let dimension: Int
    let length: Int
    let elementType: ElementType
    let queries: Tensor
    let keys: Tensor
    let values: Tensor
    let format: fovea_code_format
    let codes: TensorStorage
    /// The slot of the first block.
    let firstSlot = 1
    let blockCount: Int
    var numbers: [(key: [Float], value: [Float])] = []

    init(_ format: fovea_code_format, length: Int, elementType: ElementType, kernels: fovea_kernels) {
      self.format = format
      self.length = length
      self.elementType = elementType
      dimension = format.dimension
      var random = RandomValues(seed: UInt64(dimension))
      queries = Tensor(
        random.values(headCount * length * dimension), shape: [1, headCount, length, dimension],
        elementType: elementType)
      let shape = [1, keyValueHeadCount, length, dimension]
      keys = Tensor(random.values(keyValueHeadCount * length * dimension), shape: shape, elementType: elementType)
      values = Tensor(random.values(keyValueHeadCount * length * dimension), shape: shape, elementType: elementType)
      blockCount = length / CodedBlocksTests.blockLength
      codes = TensorStorage(uninitializedByteCount: keyValueHeadCount * blockCount * format.blockByteCount)
      for head in 0..<keyValueHeadCount {
        for block in 0..<blockCount {
          let offset = (head * length + block * CodedBlocksTests.blockLength) * dimension * elementType.byteCount
          let target =
            codes.baseAddress + (head * blockCount + (block + firstSlot) % blockCount) * format.blockByteCount
          var work = fovea_code_block(
            format: format, keys: keys.baseAddress + offset, key_stride: dimension, values: values.baseAddress + offset,
            value_stride: dimension, element: elementType == .float32 ? FOVEA_FLOAT32 : FOVEA_BFLOAT16, block: target)
          kernels.code_block(&work)
          var format = format
          for position in 0..<CodedBlocksTests.blockLength {
            var key = [Float](repeating: 0, count: dimension)
            var value = key
            fovea_decode_position(&format, target, position, &key, &value)
            numbers.append((key, value))
          }
        }
      }
    }

    /// The numbers that a query at `position` reads of a key.
    func row(_ tensor: Tensor, decoded: [Float], head: Int, key: Int, position: Int) -> [Double] {
      if key / CodedBlocksTests.blockLength < position / CodedBlocksTests.blockLength {
        return decoded.map(Double.init)
      }
      return tensor.sliced(axis: 1, head..<head + 1).sliced(axis: 2, key..<key + 1).doubles()
    }

    /// The outputs `[headCount, rows.count, dimension]` of some positions, which see the latest `window` keys.
    func attend(_ rows: Range<Int>, window: Int?, on stream: ComputeStream) -> Tensor {
      let outputs = Tensor(zeros: [headCount, rows.count, dimension], elementType: elementType)
      let type = elementType == .float32 ? FOVEA_FLOAT32 : FOVEA_BFLOAT16
      let problem = AttentionProblem(
        headCount: headCount, keyValueHeadCount: keyValueHeadCount, queryLength: rows.count, keyLength: rows.upperBound,
        headDimension: dimension, resultType: elementType)
      let ownStart = rows.lowerBound / CodedBlocksTests.blockLength * CodedBlocksTests.blockLength
      let strides = AttentionStrides(batch: 0, head: length * dimension, position: dimension)
      let start = ownStart * dimension * elementType.byteCount
      let segments = [
        KeyValueSegment(
          keys: keys.baseAddress, keyStrides: strides, values: values.baseAddress, valueStrides: strides, count: 0,
          span: ownStart),
        KeyValueSegment(
          keys: keys.baseAddress + start, keyStrides: strides, values: values.baseAddress + start,
          valueStrides: strides, count: rows.upperBound - ownStart),
      ]
      let engine = AttentionEngine(
        problem: problem, queries: queries.baseAddress + rows.lowerBound * dimension * elementType.byteCount,
        queryType: type, queryStrides: strides, keyType: type, valueType: type, segments: segments,
        codes: CodedBlocks(base: codes.baseAddress, format: format, slotCount: blockCount, firstSlot: firstSlot),
        outputs: outputs.baseAddress, outputType: type,
        outputStrides: AttentionStrides(batch: 0, head: rows.count * dimension, position: dimension), scale: 0.2,
        visibleKeys: VisibleKeys(
          queryLength: rows.count, keyLength: rows.upperBound, isCausal: true,
          options: AttentionOptions(window: window)))
      withExtendedLifetime(self) { stream.run { engine.run(on: stream) } }
      return outputs
    }
  }

  static let formats = [(8, 32, 64), (4, 64, 64), (4, 32, 48), (8, 64, 96)].map {
    fovea_code_format(bits: UInt32($0), group_size: $1, dimension: $2)
  }

  @Test("a query reads its own block as rows and those before in codes", arguments: [ElementType.float32, .bfloat16])
  func agrees(elementType: ElementType) throws {
    let best = InstructionSet.available[0].kernels.pointee
    for format in Self.formats {
      let sequence = Sequence(format, length: 800, elementType: elementType, kernels: best)
      let positions = [5, 255, 256, 300, 511, 512, 799]
      for window in [nil, 290] {
        var expected: [[[Double]]] = []
        for head in 0..<sequence.headCount {
          let keyHead = head / 3
          let numbers = sequence.numbers[(keyHead * sequence.blockCount * 256)...]
          expected.append(
            positions.map { position in
              let query = sequence.queries.sliced(axis: 1, head..<head + 1)
                .sliced(axis: 2, position..<position + 1).doubles()
              let seen = max(0, position + 1 - (window ?? 800))...position
              let rows = seen.map { key in
                let decoded = key < sequence.blockCount * 256 ? numbers[numbers.startIndex + key] : ([], [])
                return (
                  sequence.row(sequence.keys, decoded: decoded.0, head: keyHead, key: key, position: position),
                  sequence.row(sequence.values, decoded: decoded.1, head: keyHead, key: key, position: position)
                )
              }
              return referenceAttention(
                queries: [query], keys: rows.map(\.0), values: rows.map(\.1), valueDimension: format.dimension,
                scale: Double(Float(0.2))
              ) { _, _ in 0 }[0]
            })
        }
        for stream in try testStreams() {
          let outputs = sequence.attend(0..<800, window: window, on: stream)
          for (index, position) in positions.enumerated() {
            let got = outputs.sliced(axis: 1, position..<position + 1).doubles()
            let limit = elementType == .float32 ? 4e-3 : 1.5e-2
            let mismatch = firstMismatch(got, expected.flatMap { $0[index] }, absolute: limit, relative: limit)
            #expect(mismatch == nil, "\(stream.instructionSet.name) \(format) at \(position): \(mismatch ?? "")")
          }
        }
      }
    }
  }

  @Test("the result is the same bits for any number of threads and any cut of the queries")
  func sameBits() throws {
    for instructionSet in InstructionSet.available {
      for format in Self.formats {
        let sequence = Sequence(
          format, length: 600, elementType: .bfloat16, kernels: instructionSet.kernels.pointee)
        for window in [nil, 290] {
          let whole = sequence.attend(
            0..<600, window: window, on: try ComputeStream(threadCount: 1, instructionSet: instructionSet))
          for threadCount in [1, 2, 3, 7] {
            let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
            for (first, chunk) in [(0, 173), (0, 600), (250, 1), (505, 9), (590, 1)] {
              for start in stride(from: first, to: min(600, first + max(12, chunk)), by: chunk) {
                let rows = start..<min(600, start + chunk)
                let part = sequence.attend(rows, window: window, on: stream)
                #expect(
                  part.doubles() == whole.sliced(axis: 1, rows).doubles(),
                  "\(instructionSet.name) \(format) \(threadCount) threads, \(rows)")
              }
            }
          }
        }
      }
    }
  }
}

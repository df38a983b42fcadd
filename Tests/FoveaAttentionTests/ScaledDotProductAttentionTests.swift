import Foundation
import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct ScaledDotProductAttentionTests {
  let streams: [ComputeStream]

  init() throws {
    streams = try testStreams()
  }

  private func expectMatch(_ mismatch: String?, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(mismatch == nil, "\(mismatch ?? "")", sourceLocation: sourceLocation)
  }

  @Test("every mask kind, element type and layout agrees with the double-precision reference")
  func agreesWithReference() throws {
    var seed: UInt64 = 1
    for elementType in [ElementType.float32, .bfloat16, .float16] {
      for layout in AttentionCase.Layout.allCases {
        for maskKind in AttentionCase.MaskKind.allCases {
          for (queryLength, keyLength) in [(1, 1), (1, 43), (7, 7), (8, 128), (65, 65), (2, 300), (40, 530)] {
            let attentionCase = AttentionCase(
              headCount: 3, queryLength: queryLength, keyLength: keyLength, headDimension: 32,
              elementType: elementType, layout: layout, maskKind: maskKind, hasSinks: seed % 2 == 0)
            expectMatch(try attentionCase.firstMismatch(on: streams, seed: seed))
            seed += 1
          }
        }
      }
    }
  }

  @Test("any head dimension and head ratio is right", arguments: [1, 4, 15, 32, 33, 64, 72, 80, 96, 128, 192, 256])
  func anyHeadDimension(headDimension: Int) throws {
    for (headCount, keyValueHeadCount) in [(1, 1), (4, 2), (6, 2), (8, 1)] {
      for elementType in [ElementType.float32, .bfloat16] {
        let attentionCase = AttentionCase(
          batchCount: 2, headCount: headCount, keyValueHeadCount: keyValueHeadCount, queryLength: 9, keyLength: 70,
          headDimension: headDimension, valueDimension: headDimension == 64 ? 40 : nil, elementType: elementType,
          maskKind: .causal)
        expectMatch(try attentionCase.firstMismatch(on: streams, seed: UInt64(headDimension)))
      }
    }
  }

  @Test("more queries than keys, windows, soft-caps and packed sequences combine with masks and sinks")
  func optionsCombine() throws {
    for maskKind in AttentionCase.MaskKind.allCases {
      for options in [
        AttentionOptions(window: 5), AttentionOptions(window: 300, softCap: 3), AttentionOptions(softCap: 30),
      ] {
        for (queryLength, keyLength) in [(20, 12), (12, 290), (300, 300)] {
          let attentionCase = AttentionCase(
            queryLength: queryLength, keyLength: keyLength, headDimension: 16, maskKind: maskKind, hasSinks: true,
            options: options)
          expectMatch(try attentionCase.firstMismatch(on: streams, seed: 7))
        }
      }
      let packed = AttentionCase(
        queryLength: 300, keyLength: 300, headDimension: 16, maskKind: maskKind,
        options: AttentionOptions(window: maskKind == .causal ? 20 : nil, packedLengths: [3, 0, 250, 1, 46]))
      expectMatch(try packed.firstMismatch(on: streams, seed: 8))
    }
  }

  @Test("a row that sees nothing gives zeros, with and without sinks; empty inputs give empty or zero results")
  func emptyRows() throws {
    let queries = Tensor([Float](repeating: 1, count: 2 * 3 * 4), shape: [1, 2, 3, 4])
    let keys = Tensor([Float](repeating: 1, count: 5 * 4), shape: [1, 1, 5, 4])
    let hidden = Tensor([Bool](repeating: false, count: 5), shape: [5])
    let sinks = Tensor([1, 2], shape: [2])
    for sink in [nil, sinks] {
      let outputs = try scaledDotProductAttention(
        queries: queries, keys: keys, values: keys, scale: 1, mask: .array(hidden), sinks: sink)
      #expect(outputs.floats().allSatisfy { $0 == 0 })
    }
    let noKeys = Tensor(zeros: [1, 1, 0, 4])
    let zeros = try scaledDotProductAttention(queries: queries, keys: noKeys, values: noKeys, scale: 1)
    #expect(zeros.shape == [1, 2, 3, 4] && zeros.floats().allSatisfy { $0 == 0 })
    let noQueries = try scaledDotProductAttention(
      queries: Tensor(zeros: [1, 2, 0, 4]), keys: keys, values: keys, scale: 1)
    #expect(noQueries.shape == [1, 2, 0, 4])
  }

  @Test("NaN and infinity in hidden keys and values stay out; in visible ones they reach their rows only")
  func notFiniteInputs() throws {
    for elementType in [ElementType.float32, .bfloat16] {
      var random = RandomValues(seed: 3)
      let plain = (0..<3).map { _ in random.values(6 * 8) }
      var spoiled = plain
      // Key 4 is visible to the queries 4 and 5 only.
      spoiled[1][4 * 8] = .nan
      spoiled[2][4 * 8 + 1] = .infinity
      for stream in streams {
        let results = try [plain, spoiled].map { arrays in
          let tensors = arrays.map { Tensor($0, shape: [1, 1, 6, 8], elementType: elementType) }
          return try scaledDotProductAttention(
            queries: tensors[0], keys: tensors[1], values: tensors[2], scale: 0.3, mask: .causal, on: stream
          ).floats()
        }
        #expect(results[0].allSatisfy { $0.isFinite })
        #expect(results[1][..<32] == results[0][..<32])
        #expect(results[1][32...].allSatisfy { !$0.isFinite })
      }
    }
  }

  @Test("the result is the same bits for any number of threads and any cut of the queries")
  func sameBits() throws {
    for elementType in [ElementType.float32, .bfloat16, .float16] {
      var random = RandomValues(seed: 11)
      let (queryLength, keyLength, dimension) = (97, 600, 64)
      let queries = Tensor(
        random.values(6 * queryLength * dimension), shape: [1, 6, queryLength, dimension], elementType: elementType)
      let keys = Tensor(
        random.values(2 * keyLength * dimension), shape: [1, 2, keyLength, dimension], elementType: elementType)
      let values = Tensor(
        random.values(2 * keyLength * dimension), shape: [1, 2, keyLength, dimension], elementType: elementType)
      for instructionSet in InstructionSet.available {
        let whole = try scaledDotProductAttention(
          queries: queries, keys: keys, values: values, scale: 0.125, mask: .causal,
          on: ComputeStream(threadCount: 1, instructionSet: instructionSet))
        for threadCount in [1, 2, 3, 7] {
          let stream = try ComputeStream(threadCount: threadCount, instructionSet: instructionSet)
          for chunk in [1, 7, 97] {
            for first in stride(from: 0, to: queryLength, by: chunk) {
              let rows = first..<min(queryLength, first + chunk)
              let end = keyLength - queryLength + rows.upperBound
              let part = try scaledDotProductAttention(
                queries: queries.sliced(axis: 2, rows), keys: keys.sliced(axis: 2, 0..<end),
                values: values.sliced(axis: 2, 0..<end), scale: 0.125, mask: .causal, on: stream)
              let expected = whole.sliced(axis: 2, rows)
              #expect(
                part.doubles() == expected.doubles(), "\(elementType) \(instructionSet.name) \(threadCount) \(rows)")
            }
          }
        }
      }
    }
  }

  @Test("working memory depends on the threads and the tile, not on the length; 8192 keys take less than 4 MiB")
  func scratchIsBounded() throws {
    for elementType in [ElementType.float32, .bfloat16, .float16] {
      for (headCount, keyValueHeadCount, dimension) in [(8, 8, 64), (8, 2, 128), (4, 1, 256)] {
        func scratchByteCount(_ queryLength: Int, _ keyLength: Int, threadCount: Int) throws -> Int {
          func zeros(_ heads: Int, _ length: Int) -> Tensor {
            Tensor(zeros: [1, heads, length, dimension], elementType: elementType)
          }
          let stream = try ComputeStream(threadCount: threadCount)
          _ = try scaledDotProductAttention(
            queries: zeros(headCount, queryLength), keys: zeros(keyValueHeadCount, keyLength),
            values: zeros(keyValueHeadCount, keyLength), scale: 1, mask: .causal, on: stream)
          return stream.scratchByteCount
        }
        // Two tiles a thread and more, so that no keys are split; then one row against all keys, which are.
        let prefill = try [1, 2, 3].map { try scratchByteCount(1024, 1024, threadCount: $0) }
        #expect(prefill[0] * 2 == prefill[1] && prefill[0] * 3 == prefill[2], "\(elementType) \(dimension)")
        #expect(try scratchByteCount(1024, 8192, threadCount: 2) == prefill[1], "\(elementType) \(dimension)")
        #expect(prefill[1] < 4 << 20, "\(elementType) \(dimension): \(prefill[1])")
        #expect(try scratchByteCount(1, 8192, threadCount: 2) < 4 << 20, "\(elementType) \(dimension)")
        #expect(try scratchByteCount(1, 65_536, threadCount: 2) < 4 << 20, "\(elementType) \(dimension)")
      }
    }
  }

  @Test("heads fewer than threads, sinks, windows, soft-caps and log-sum-exp give the bits of one thread on 2, 3 and 7")
  func sameBitsOfSplitKeys() throws {
    for (headCount, keyValueHeadCount) in [(9, 3), (4, 1), (1, 1)] {
      for (queryLength, dimension) in [(1, 64), (2, 256), (40, 32)] {
        for elementType in [ElementType.float32, .bfloat16, .float16] {
          var random = RandomValues(seed: UInt64(headCount + queryLength))
          func tensor(_ heads: Int, _ length: Int) -> Tensor {
            Tensor(
              random.values(heads * length * dimension), shape: [1, heads, length, dimension], elementType: elementType)
          }
          let (queries, keys, values) = (
            tensor(headCount, queryLength), tensor(keyValueHeadCount, 1500), tensor(keyValueHeadCount, 1500)
          )
          let sinks = Tensor(random.values(headCount).map { $0 * 10 }, shape: [headCount], elementType: elementType)
          for options in [AttentionOptions(), AttentionOptions(window: 700, softCap: 20)] {
            func run(_ threadCount: Int) throws -> AttentionResult {
              try scaledDotProductAttentionWithLogSumExp(
                queries: queries, keys: keys, values: values, scale: 0.1, mask: .causal, sinks: sinks,
                options: options, on: ComputeStream(threadCount: threadCount))
            }
            let whole = try run(1)
            for threadCount in [2, 3, 7] {
              let split = try run(threadCount)
              #expect(split.outputs.doubles() == whole.outputs.doubles(), "\(headCount) \(elementType) \(threadCount)")
              #expect(split.logSumExp.doubles() == whole.logSumExp.doubles(), "\(headCount) \(elementType)")
            }
          }
        }
      }
    }
  }

  @Test(
    "a few query rows, read in place, give the bits of the same rows among many",
    arguments: [(16, 16), (32, 32), (48, 48), (72, 80), (80, 80), (256, 256)])
  func fewRowsSameBits(headDimension: Int, valueDimension: Int) throws {
    var random = RandomValues(seed: UInt64(headDimension))
    let (groupSize, keyLength) = (3, 531)
    let rows = 5
    for elementType in [ElementType.float32, .bfloat16, .float16] {
      // Rows of keys and values lie apart, as in a cache whose heads are adjacent.
      func tensor(_ heads: Int, _ length: Int, _ dimension: Int) -> Tensor {
        Tensor(
          random.values(length * heads * dimension), shape: [1, length, heads, dimension], elementType: elementType
        ).transposed([0, 2, 1, 3])
      }
      let queries = tensor(2 * groupSize, rows, headDimension)
      let (keys, values) = (tensor(2, keyLength, headDimension), tensor(2, keyLength, valueDimension))
      for layout in [(keys, values), (keys.contiguous(), values.contiguous())] {
        for window in [nil, 100] {
          for instructionSet in InstructionSet.available {
            let whole = try scaledDotProductAttention(
              queries: queries, keys: layout.0, values: layout.1, scale: 0.2, mask: .causal,
              options: AttentionOptions(window: window),
              on: ComputeStream(threadCount: 1, instructionSet: instructionSet))
            let stream = try ComputeStream(threadCount: 2, instructionSet: instructionSet)
            for row in 0..<rows {
              let end = keyLength - rows + row + 1
              let part = try scaledDotProductAttention(
                queries: queries.sliced(axis: 2, row..<row + 1), keys: layout.0.sliced(axis: 2, 0..<end),
                values: layout.1.sliced(axis: 2, 0..<end), scale: 0.2, mask: .causal,
                options: AttentionOptions(window: window), on: stream)
              let expected = whole.sliced(axis: 2, row..<row + 1).doubles()
              #expect(part.doubles() == expected, "\(elementType) \(instructionSet.name) \(row)")
            }
          }
        }
      }
    }
  }

  @Test("log-sum-exp merges two halves of the keys to the whole")
  func logSumExpMerges() throws {
    var random = RandomValues(seed: 5)
    let queries = Tensor(random.values(4 * 16), shape: [1, 1, 4, 16], elementType: .float32)
    let keys = Tensor(random.values(50 * 16), shape: [1, 1, 50, 16], elementType: .float32)
    let values = Tensor(random.values(50 * 16), shape: [1, 1, 50, 16], elementType: .float32)
    func part(_ range: Range<Int>) throws -> AttentionResult {
      try scaledDotProductAttentionWithLogSumExp(
        queries: queries, keys: keys.sliced(axis: 2, range), values: values.sliced(axis: 2, range), scale: 0.25)
    }
    let (whole, first, second) = try (part(0..<50), part(0..<20), part(20..<50))
    for row in 0..<4 {
      let difference = Double(first.logSumExp.floats()[row] - second.logSumExp.floats()[row])
      let share = 1 / (1 + exp(-difference))
      for column in 0..<16 {
        let index = row * 16 + column
        let merged = share * first.outputs.doubles()[index] + (1 - share) * second.outputs.doubles()[index]
        #expect(abs(merged - whole.outputs.doubles()[index]) <= 1e-5)
      }
    }
  }

  @Test("float64 goes through the reference; float16 with bfloat16 gives float32")
  func promotion() throws {
    var random = RandomValues(seed: 9)
    let tensors = (0..<3).map { _ in random.values(24) }
    func op(_ types: [ElementType]) throws -> Tensor {
      let inputs = zip(tensors, types).map { Tensor($0, shape: [1, 2, 3, 4], elementType: $1) }
      return try scaledDotProductAttention(queries: inputs[0], keys: inputs[1], values: inputs[2], scale: 0.5)
    }
    let exact = try op([.float64, .float64, .float64])
    #expect(exact.elementType == .float64)
    #expect(try op([.float64, .float32, .bfloat16]).elementType == .float64)
    #expect(try op([.float16, .bfloat16, .float16]).elementType == .float32)
    let single = try op([.float32, .float32, .float32])
    #expect(firstMismatch(single.doubles(), exact.doubles(), absolute: 1e-6, relative: 1e-5) == nil)
  }
}

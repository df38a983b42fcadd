import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// The situations in which MLX tests its own `scaled_dot_product_attention`, written anew: the same shapes, masks,
/// element types and tolerances, against double precision.
@Suite struct PublishedCaseTests {
  let streams: [ComputeStream]

  init() throws {
    streams = try testStreams()
  }

  private func expectMatch(
    _ attentionCase: AttentionCase, seed: UInt64, sourceLocation: SourceLocation = #_sourceLocation
  )
    throws
  {
    let mismatch = try attentionCase.firstMismatch(on: streams, seed: seed)
    #expect(mismatch == nil, "\(mismatch ?? "")", sourceLocation: sourceLocation)
  }

  @Test("one query against a short and a long cache, heads 32/32 and 24/8, with every mask")
  func decode() throws {
    for (headCount, keyValueHeadCount) in [(32, 32), (24, 8)] {
      for keyLength in [1, 43, 128, 237, 1031] {
        for maskKind in [AttentionCase.MaskKind.none, .causal, .boolean, .additive, .perHead] {
          try expectMatch(
            AttentionCase(
              headCount: headCount, keyValueHeadCount: keyValueHeadCount, queryLength: 1, keyLength: keyLength,
              headDimension: 64, maskKind: maskKind), seed: UInt64(keyLength))
        }
      }
    }
  }

  @Test("a few queries against a cache, as in speculative decoding")
  func fewQueries() throws {
    for elementType in [ElementType.float32, .float16, .bfloat16] {
      for queryLength in [2, 4, 7, 8] {
        for maskKind in AttentionCase.MaskKind.allCases {
          try expectMatch(
            AttentionCase(
              headCount: 8, keyValueHeadCount: 2, queryLength: queryLength, keyLength: 128, headDimension: 64,
              elementType: elementType, maskKind: maskKind), seed: UInt64(queryLength))
        }
      }
    }
  }

  @Test("prefill at and around the tile: 63 to 129 queries, values wider and narrower than keys")
  func prefill() throws {
    for queryLength in [63, 64, 65, 127, 128, 129] {
      for maskKind in [AttentionCase.MaskKind.none, .causal, .boolean, .additive] {
        for valueDimension in [32, 80, 128] {
          try expectMatch(
            AttentionCase(
              headCount: 2, keyValueHeadCount: 1, queryLength: queryLength, keyLength: queryLength + 13,
              headDimension: 80, valueDimension: valueDimension, maskKind: maskKind, comparedRows: [0, queryLength - 1]),
            seed: UInt64(queryLength + valueDimension))
        }
      }
    }
  }

  @Test("sinks ten times a normal variate, alone and with every mask")
  func sinks() throws {
    for elementType in [ElementType.float32, .float16, .bfloat16] {
      for (queryLength, keyLength) in [(1, 128), (4, 128), (40, 40), (128, 128)] {
        for maskKind in AttentionCase.MaskKind.allCases {
          try expectMatch(
            AttentionCase(
              headCount: 8, keyValueHeadCount: 4, queryLength: queryLength, keyLength: keyLength, headDimension: 64,
              elementType: elementType, maskKind: maskKind, hasSinks: true, comparedRows: [0, queryLength - 1]),
            seed: UInt64(keyLength))
        }
      }
    }
  }

  @Test("scores of -infinity weigh nothing; a row that has no others gives zeros")
  func infiniteScores() throws {
    let (keyLength, dimension) = (300, 32)
    for elementType in [ElementType.float32, .bfloat16, .float16] {
      for queryLength in [1, 12] {
        var random = RandomValues(seed: 23)
        // Positive queries, so that an element of -infinity makes a score of -infinity.
        let queries = Tensor(
          random.values(queryLength * dimension).map { abs($0) + 0.1 }, shape: [1, 1, queryLength, dimension],
          elementType: elementType)
        var plain = random.values(keyLength * dimension)
        let values = Tensor(
          random.values(keyLength * dimension), shape: [1, 1, keyLength, dimension], elementType: elementType)
        let visible = (0..<keyLength).map { $0 % 3 != 0 && !(64..<256).contains($0) }
        let masked = Tensor(plain, shape: [1, 1, keyLength, dimension], elementType: elementType)
        for key in 0..<keyLength where !visible[key] { plain[key * dimension + 5] = -.infinity }
        let infinite = Tensor(plain, shape: [1, 1, keyLength, dimension], elementType: elementType)
        for stream in streams {
          let expected = try scaledDotProductAttention(
            queries: queries, keys: masked, values: values, scale: 0.2,
            mask: .array(Tensor(visible, shape: [keyLength])), on: stream)
          let got = try scaledDotProductAttention(
            queries: queries, keys: infinite, values: values, scale: 0.2, on: stream)
          // The two paths round scores at different places.
          let tolerance = elementType == .float32 ? 1e-5 : 5e-3
          let mismatch = firstMismatch(got.doubles(), expected.doubles(), absolute: tolerance, relative: tolerance)
          #expect(mismatch == nil, "\(elementType) \(stream.instructionSet.name): \(mismatch ?? "")")
          let hidden = infinite.sliced(axis: 2, 64..<65)
          let zeros = try scaledDotProductAttention(
            queries: queries, keys: hidden, values: values.sliced(axis: 2, 64..<65), scale: 0.2, on: stream)
          #expect(zeros.doubles().allSatisfy { $0 == 0 }, "\(elementType) \(stream.instructionSet.name)")
        }
      }
    }
  }

  @Test("a long row of which all but the last keys are hidden; scores of -infinity; a mask as large as the type allows")
  func longMaskedRows() throws {
    var random = RandomValues(seed: 21)
    let keyLength = 4097
    let queries = Tensor(random.values(32), shape: [1, 1, 1, 32], elementType: .float32)
    let keys = Tensor(random.values(keyLength * 32), shape: [1, 1, keyLength, 32], elementType: .float32)
    let values = Tensor(random.values(keyLength * 32), shape: [1, 1, keyLength, 32], elementType: .float32)
    let visible = keyLength - 3..<keyLength
    for stream in streams {
      let expected = try scaledDotProductAttention(
        queries: queries, keys: keys.sliced(axis: 2, visible), values: values.sliced(axis: 2, visible), scale: 0.2,
        on: stream
      ).doubles()
      let hidden = (0..<keyLength).map { visible.contains($0) }
      for added in [-Double.infinity, -3e38] {
        let mask = Tensor(hidden.map { $0 ? 0 : added }, shape: [keyLength], elementType: .float32)
        let outputs = try scaledDotProductAttention(
          queries: queries, keys: keys, values: values, scale: 0.2, mask: .array(mask), on: stream)
        #expect(firstMismatch(outputs.doubles(), expected, absolute: 1e-5, relative: 1e-5) == nil)
      }
      let boolean = try scaledDotProductAttention(
        queries: queries, keys: keys, values: values, scale: 0.2, mask: .array(Tensor(hidden, shape: [1, keyLength])),
        on: stream)
      #expect(firstMismatch(boolean.doubles(), expected, absolute: 1e-5, relative: 1e-5) == nil)
    }
  }
}

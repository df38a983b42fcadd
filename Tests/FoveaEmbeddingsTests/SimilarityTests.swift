import FoveaEmbeddings
import Testing

@Suite struct SimilarityTests {
  @Test("each similarity is what its formula says", arguments: [1, 3, 8, 9, 31])
  func formulas(count: Int) throws {
    let first = (0..<count).map { Float($0 * 7 % 5) - 1.5 }
    let second = (0..<count).map { Float($0 * 3 % 7) - 2.25 }
    let dot = zip(first, second).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let lengths = [first, second].map { $0.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() }
    let differences = zip(first, second).map { Double($0) - Double($1) }
    let expected: [Similarity: Double] = [
      .dot: dot, .cosine: dot / (lengths[0] * lengths[1]),
      .euclidean: -differences.reduce(0) { $0 + $1 * $1 }.squareRoot(),
      .manhattan: -differences.reduce(0) { $0 + abs($1) },
    ]
    for similarity in Similarity.allCases {
      let got = try similarity(first, second)
      #expect(abs(Double(got) - (expected[similarity] ?? .nan)) <= 1e-5, "\(similarity)")
    }
  }

  @Test("a vector of zeros is like nothing, and lengths must agree")
  func edges() throws {
    #expect(try Similarity.cosine([0, 0], [1, 2]) == 0)
    #expect(try Similarity.dot([], []) == 0)
    let error = #expect(throws: EmbeddingError.self) { try Similarity.dot([1], [1, 2]) }
    #expect(error?.kind == .dimensionMismatch)
    #expect(try Similarity.dot.matrix([[1, 0], [0, 1]], [[2, 3]]) == [[2], [3]])
  }

  @Test("the nearest come best first, of equals the first, and NaN last")
  func nearest() throws {
    let index = EmbeddingIndex(values: [1, 0, 0, 1, 1, 0, .nan, 0, -1, 0], dimensions: 2, similarity: .dot)
    let matches = try index.nearest(to: [2, 0], count: 10)
    #expect(matches.map(\.index) == [0, 2, 1, 4, 3])
    #expect(matches.prefix(4).map(\.score) == [2, 2, 0, -2])
    #expect(try index.nearest(to: [2, 0], count: 2).map(\.index) == [0, 2])
    #expect(try index.nearest(to: [2, 0], count: 0).isEmpty)
    #expect(throws: EmbeddingError.self) { try index.nearest(to: [1], count: 1) }
  }
}

/// Vectors one behind another, to be searched.
public struct EmbeddingIndex: Sendable {
  /// A vector that was found.
  public struct Match: Sendable, Equatable {
    /// Its number in the index, from 0 on.
    public var index: Int
    /// How alike it is.
    public var score: Float
  }

  /// The number of values of a vector.
  public let dimensions: Int
  /// The vectors' values, row by row.
  public let values: [Float]
  /// How vectors are compared.
  public let similarity: Similarity
  /// The number of vectors.
  public var count: Int { dimensions == 0 ? 0 : values.count / dimensions }

  /// An index of `values`, which are a whole number of vectors.
  public init(values: [Float], dimensions: Int, similarity: Similarity = .cosine) {
    precondition(
      dimensions > 0 && values.count % dimensions == 0, "\(values.count) values are no vectors of \(dimensions)")
    self.values = values
    self.dimensions = dimensions
    self.similarity = similarity
  }

  /// An index of embeddings of one length.
  ///
  /// - Throws: ``EmbeddingError`` of kind `dimensionMismatch` where lengths differ.
  public init(_ embeddings: [Embedding], similarity: Similarity = .cosine) throws(EmbeddingError) {
    let dimensions = embeddings.first?.values.count ?? 1
    for embedding in embeddings { try Similarity.check(dimensions, embedding.values.count) }
    self.init(values: embeddings.flatMap(\.values), dimensions: max(1, dimensions), similarity: similarity)
  }

  /// The `count` vectors most like `query`, best first; of equals the first in the index. A NaN comes last.
  ///
  /// - Throws: ``EmbeddingError`` of kind `dimensionMismatch` for a query of another length.
  public func nearest(to query: [Float], count: Int) throws(EmbeddingError) -> [Match] {
    try Similarity.check(query.count, dimensions)
    guard count > 0 else { return [] }
    // Best first, never longer than `count`: few of many vectors get in.
    var best: [Match] = []
    query.withUnsafeBufferPointer { query in
      values.withUnsafeBufferPointer { values in
        for index in 0..<self.count {
          let row = UnsafeBufferPointer(rebasing: values[index * dimensions..<(index + 1) * dimensions])
          let match = Match(index: index, score: similarity.value(query, row))
          if best.count == count, let last = best.last, !isBetter(match, last) { continue }
          let place = best.firstIndex { isBetter(match, $0) } ?? best.count
          best.insert(match, at: place)
          if best.count > count { best.removeLast() }
        }
      }
    }
    return best
  }

  private func isBetter(_ first: Match, _ second: Match) -> Bool {
    first.score > second.score || (second.score.isNaN && !first.score.isNaN)
  }
}

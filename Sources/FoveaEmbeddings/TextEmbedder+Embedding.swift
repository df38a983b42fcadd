internal import FoveaCore

extension TextEmbedder {
  /// The vectors of `texts`, in their order.
  ///
  /// Texts are sorted by length and evaluated together without padding, as many as ``EmbeddingOptions/batchTokenCount``
  /// allows; besides the vectors and the texts, the memory used does not grow with their number.
  ///
  /// A text longer than ``sequenceLengthLimit`` loses its end, which ``Embedding/truncatedTokenCount`` reports, unless
  /// that is refused. An empty text has the vector of the special tokens that the tokenizer adds to it; if it adds none,
  /// zeros.
  ///
  /// - Parameters:
  ///   - prompt: what is put before each text.
  ///   - progress: called after each batch.
  /// - Throws: ``EmbeddingError`` for a prompt or option that the model does not allow and for texts that are too long;
  ///   `TokenizerError`; what `progress` throws.
  public func embed(
    _ texts: [String], prompt: EmbeddingPrompt = .modelDefault, options: EmbeddingOptions = EmbeddingOptions(),
    progress: (@Sendable (EmbeddingProgress) throws -> Void)? = nil
  ) async throws -> [Embedding] {
    try await stream.perform { [self] in try embedNow(texts, prompt: prompt, options: options, progress: progress) }
  }

  /// The vector of one text. See ``embed(_:prompt:options:progress:)``.
  public func embed(
    _ text: String, prompt: EmbeddingPrompt = .modelDefault, options: EmbeddingOptions = EmbeddingOptions()
  ) async throws -> Embedding {
    let embeddings = try await embed([text], prompt: prompt, options: options)
    return embeddings.first ?? Embedding(values: [])
  }

  /// The vectors of texts given as token ids, special ones included, in their order.
  public func embed(
    tokens: [[Int]], options: EmbeddingOptions = EmbeddingOptions(),
    progress: (@Sendable (EmbeddingProgress) throws -> Void)? = nil
  ) async throws -> [Embedding] {
    try await stream.perform { [self] in try embedNow(tokens: tokens, options: options, progress: progress) }
  }

  /// Texts tokenised at a time.
  private static let textsPerPart = 16_384

  /// As ``embed(_:prompt:options:progress:)``, on the calling thread.
  package func embedNow(
    _ texts: [String], prompt: EmbeddingPrompt = .modelDefault, options: EmbeddingOptions = EmbeddingOptions(),
    progress: ((EmbeddingProgress) throws -> Void)? = nil
  ) throws -> [Embedding] {
    let encoder = try encoder(prompt: prompt)
    return try embedParts(texts, options: options, progress: progress) { try encode($0, first: $1, encoder, options) }
  }

  /// As ``embed(tokens:options:progress:)``, on the calling thread.
  package func embedNow(
    tokens: [[Int]], options: EmbeddingOptions = EmbeddingOptions(),
    progress: ((EmbeddingProgress) throws -> Void)? = nil
  ) throws -> [Embedding] {
    let limit = sequenceLengthLimit
    return try embedParts(tokens, options: options, progress: progress) { part, first in
      try part.enumerated().map { index, tokens in
        let text = EncodedText(
          tokens: Array(tokens.prefix(limit)), truncatedCount: max(0, tokens.count - limit), promptLength: 0)
        try refuseTruncation(of: text, number: first + index, options)
        return text
      }
    }
  }

  /// The number of values of the vectors that `options` give.
  package func vectorLength(_ options: EmbeddingOptions) throws -> Int {
    try EmbeddingPipeline(self, options).dimensions
  }

  private func embedParts<Text>(
    _ texts: [Text], options: EmbeddingOptions, progress: ((EmbeddingProgress) throws -> Void)?,
    encode: (ArraySlice<Text>, _ first: Int) throws -> [EncodedText]
  ) throws -> [Embedding] {
    let pipeline = try EmbeddingPipeline(self, options)
    var report = EmbeddingProgress(embeddedTextCount: 0, textCount: texts.count, tokenCount: 0)
    var embeddings: [Embedding] = []
    embeddings.reserveCapacity(texts.count)
    for first in stride(from: 0, to: texts.count, by: Self.textsPerPart) {
      let part = texts[first..<min(texts.count, first + Self.textsPerPart)]
      embeddings += try embed(encode(part, first), pipeline) { count, tokenCount in
        report.embeddedTextCount += count
        report.tokenCount += tokenCount
        try progress?(report)
      }
    }
    return embeddings
  }

  /// The vectors of some texts, the longest evaluated first, so that buffers grow once.
  private func embed(
    _ texts: [EncodedText], _ pipeline: EmbeddingPipeline,
    progress: (_ textCount: Int, _ tokenCount: Int) throws -> Void
  ) throws -> [Embedding] {
    var result = texts.map { text in
      Embedding(values: [], tokenCount: text.tokens.count, truncatedTokenCount: text.truncatedCount)
    }
    let batchTokenCount = pipeline.batchTokenCount
    let order = texts.indices.sorted { (texts[$0].tokens.count, $1) > (texts[$1].tokens.count, $0) }
    var next = 0
    while next < order.count {
      var end = next
      var tokenCount = 0
      while end < order.count, end == next || tokenCount + texts[order[end]].tokens.count <= batchTokenCount {
        // A text without tokens costs nothing, but a batch has to end somewhere.
        if end - next >= batchTokenCount { break }
        tokenCount += texts[order[end]].tokens.count
        end += 1
      }
      let batch = order[next..<end]
      for (index, values) in zip(batch, try pipeline.vectors(of: batch.map { texts[$0] })) {
        result[index].values = values
      }
      next = end
      try progress(batch.count, tokenCount)
    }
    return result
  }
}

internal import FoveaCore
internal import FoveaModels

/// Model, pooling and what follows, with the options of one call.
struct EmbeddingPipeline {
  /// The most tokens evaluated together.
  let batchTokenCount: Int
  private let model: any TokenEncoder
  private let pooling: [PoolingMode]
  private let modules: [EmbeddingModule]
  /// The number of values kept of a vector.
  let dimensions: Int
  /// Whether vectors get length 1 at the end.
  private let normalizes: Bool

  init(_ embedder: TextEmbedder, _ options: EmbeddingOptions) throws(EmbeddingError) {
    let layout = embedder.layout
    batchTokenCount = options.batchTokenCount ?? embedder.model.standardBatchTokenCount
    guard batchTokenCount >= 1 else {
      throw EmbeddingError(.invalidOption, "batchTokenCount is \(batchTokenCount), expected at least 1")
    }
    guard options.pooling?.isEmpty != true else {
      throw EmbeddingError(.invalidOption, "pooling is empty, expected at least one mode")
    }
    model = embedder.model
    pooling = options.pooling ?? layout.pooling
    var modules = layout.modules
    if options.normalizes == false {
      modules.removeAll { if case .normalize = $0 { true } else { false } }
    }
    var width = pooling.count * model.hiddenSize
    for module in modules {
      if case .dense(let layer, _) = module, layer.inputSize != width {
        throw EmbeddingError(
          .invalidOption, "pooling gives \(width) values, but the model's dense layer takes \(layer.inputSize)")
      }
      width = module.outputSize(width)
    }
    self.modules = modules
    let dimensions = options.dimensions ?? layout.dimensions.map { min($0, width) } ?? width
    guard (1...width).contains(dimensions) else {
      throw EmbeddingError(.invalidOption, "dimensions is \(dimensions), expected 1 to \(width)")
    }
    self.dimensions = dimensions
    let endsNormalized = if case .normalize? = modules.last { true } else { false }
    normalizes = options.normalizes == true || (endsNormalized && dimensions < width)
  }

  /// A vector for each text.
  func vectors(of texts: [EncodedText]) throws -> [[Float]] {
    let stream = model.stream
    var width = pooling.count * model.hiddenSize
    let widest = modules.reduce((width, width)) { (max($0.0, $1.outputSize($0.1)), $1.outputSize($0.1)) }.0
    // Zeros, which texts without tokens keep.
    var current = [Float](repeating: 0, count: texts.count * widest)
    let hasTokens = texts.map { !$0.tokens.isEmpty }
    return try stream.run {
      try model.withHiddenStates(of: texts.map(\.tokens), from: texts.map(firstPooledToken)) { states, stride in
        pool(texts, states, stride: stride, into: &current)
      }
      for module in modules {
        switch module {
        case .normalize: forEachRow(&current, texts.count, width) { normalize($0) }
        case .dense(let layer, let activation):
          var outputs = [Float](repeating: 0, count: current.count)
          current.withUnsafeMutableBufferPointer { inputs in
            outputs.withUnsafeMutableBufferPointer { outputs in
              guard let source = inputs.baseAddress, let target = outputs.baseAddress else { return }
              layer.apply(source, rowCount: texts.count, into: target, on: stream)
            }
          }
          current = outputs
          width = layer.outputSize
          forEachRow(&current, texts.count, width) { activation.apply($0) }
        }
      }
      return texts.indices.map { index in
        guard hasTokens[index] else { return [Float](repeating: 0, count: dimensions) }
        var values = Array(current[index * width..<index * width + dimensions])
        if normalizes { values.withUnsafeMutableBufferPointer { normalize($0) } }
        return values
      }
    }
  }

  /// The first token of a text whose state goes into its vector.
  private func firstPooledToken(_ text: EncodedText) -> Int {
    pooling == [.lastToken] ? max(0, text.tokens.count - 1) : text.promptLength
  }

  private func forEachRow(
    _ values: inout [Float], _ rowCount: Int, _ width: Int, _ body: (UnsafeMutableBufferPointer<Float>) -> Void
  ) {
    values.withUnsafeMutableBufferPointer { values in
      for row in 0..<rowCount { body(UnsafeMutableBufferPointer(rebasing: values[row * width..<(row + 1) * width])) }
    }
  }

  private func pool(
    _ texts: [EncodedText], _ states: UnsafePointer<Float>, stride: Int, into values: inout [Float]
  ) {
    let hiddenSize = model.hiddenSize
    var firstRows: [Int] = []
    var row = 0
    for text in texts {
      firstRows.append(row)
      row += text.tokens.count - firstPooledToken(text)
    }
    values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress else { return }
      model.stream.forEachPiece(texts.count) { index, _ in
        let text = texts[index]
        guard !text.tokens.isEmpty else { return }
        let firstToken = firstPooledToken(text)
        let rows = firstRows[index]..<firstRows[index] + text.tokens.count - firstToken
        for (place, mode) in pooling.enumerated() {
          mode.pool(
            states, stride: stride, rows: rows, firstPosition: firstToken, width: hiddenSize,
            into: base + (index * pooling.count + place) * hiddenSize)
        }
      }
    }
  }
}

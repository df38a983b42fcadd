import Fovea

/// What `fovea inspect` tells about an encoder, which embeds texts and predicts none.
struct EncoderReport: InspectReport {
  let model: String
  let modelType: String
  let layerCount: Int
  let hiddenSize: Int
  let intermediateSize: Int
  let headCount: Int
  let headDimension: Int
  let vocabularySize: Int
  /// The most tokens of a text.
  let contextLength: Int
  /// The number of values of a vector.
  let dimensions: Int
  let pooling: [String]
  let normalizes: Bool
  let similarity: String
  let prompts: [String]
  let weightBytes: Int
  let weightBytesByType: [String: Int]
  let tokenizer: ModelReport.Tokenizer?
  let tokenizerError: String?
  let precision: String
  let instructionSet: String
  let availableInstructionSets: [String]
  let threads: Int

  /// Nil if the folder's model is no encoder.
  init?(folder: String, precision: Precision, stream: ComputeStream) throws {
    let modelFolder = try TextEmbedder.modelFolder(of: folder)
    guard let configuration = try EncoderConfiguration.load(folder: modelFolder) else { return nil }
    let embedder = try TextEmbedder(folder: folder, precision: precision, stream: stream)
    model = folder
    modelType = configuration.family.rawValue
    layerCount = configuration.layerCount
    hiddenSize = configuration.hiddenSize
    intermediateSize = configuration.intermediateSize
    headCount = configuration.headCount
    headDimension = configuration.headDimension
    vocabularySize = configuration.vocabularySize
    contextLength = embedder.sequenceLengthLimit
    dimensions = embedder.dimensions
    pooling = embedder.pooling.map(\.rawValue)
    normalizes = embedder.normalizes
    similarity = embedder.similarity.rawValue
    prompts = embedder.prompts.keys.sorted()
    let byteCounts = try Checkpoint.open(folder: modelFolder).byteCounts
    weightBytes = byteCounts.values.reduce(0, +)
    weightBytesByType = byTypeName(byteCounts)
    (tokenizer, tokenizerError) = ModelReport.Tokenizer.fields(embedder.tokenizer.map { $0 })
    self.precision = precision.rawValue
    instructionSet = stream.instructionSet.name
    availableInstructionSets = InstructionSet.available.map(\.name)
    threads = stream.threadCount
  }

  /// The report for people.
  var table: String {
    tableText(
      [
        ("model", model),
        ("architecture", "\(modelType), an encoder"),
        ("layers", String(layerCount)),
        ("width", "\(hiddenSize), feed-forward \(intermediateSize)"),
        ("heads", "\(headCount), dimension \(headDimension)"),
        ("vocabulary", "\(vocabularySize) tokens"),
        ("texts", "up to \(contextLength) tokens"),
        (
          "vectors",
          "\(dimensions) values, pooling \(pooling.joined(separator: " and "))\(normalizes ? ", normalised" : ""), "
            + "compared by \(similarity)"
        ),
        ("prompts", prompts.isEmpty ? "none" : prompts.joined(separator: ", ")),
        ("weights", "\(byteText(weightBytes)) (\(typesText(weightBytesByType)))"),
        ("tokenizer", tokenizer?.text ?? tokenizerError ?? "none"),
      ] + computeRows)
  }
}

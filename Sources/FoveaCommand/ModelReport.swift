import Fovea

/// What `fovea inspect` tells about a model.
struct ModelReport: InspectReport {
  struct Tokenizer: Encodable, Sendable {
    let kind: String
    let vocabularySize: Int
    let beginningOfTextToken: Int?
    let endOfTextToken: Int?

    init(_ tokenizer: any Fovea.Tokenizer) {
      kind = String(describing: type(of: tokenizer))
      vocabularySize = tokenizer.vocabularySize
      beginningOfTextToken = tokenizer.beginningOfTextToken
      endOfTextToken = tokenizer.endOfTextToken
    }

    /// The tokenizer, if there is one, or why it cannot be read.
    static func fields(_ tokenizer: Result<(any Fovea.Tokenizer)?, any Error>) -> (Tokenizer?, error: String?) {
      switch tokenizer {
      case .success(let tokenizer): (tokenizer.map(Tokenizer.init), nil)
      case .failure(let error): (nil, String(describing: error))
      }
    }

    /// The tokenizer for people.
    var text: String { "\(kind), \(vocabularySize) tokens" }
  }

  let model: String
  let modelType: String
  let layerCount: Int
  let hiddenSize: Int
  let intermediateSize: Int
  let headCount: Int
  let keyValueHeadCount: Int
  let headDimension: Int
  let vocabularySize: Int
  let contextLength: Int
  let tiesEmbeddings: Bool
  let features: [String]
  let endOfTextTokens: [Int]
  let parameterCount: Int
  let weightBytes: Int
  let weightBytesByType: [String: Int]
  let cacheBytesPerToken: Int
  let cacheBytesAtFullContext: Int
  let tokenizer: Tokenizer?
  let tokenizerError: String?
  let precision: String
  let instructionSet: String
  let availableInstructionSets: [String]
  let threads: Int

  init(folder: String, model: DecoderModel, tokenizer: Result<(any Fovea.Tokenizer)?, any Error>) {
    let configuration = model.configuration
    self.model = folder
    modelType = configuration.modelType
    layerCount = configuration.layerCount
    hiddenSize = configuration.hiddenSize
    intermediateSize = configuration.intermediateSize
    headCount = configuration.headCount
    keyValueHeadCount = configuration.keyValueHeadCount
    headDimension = configuration.headDimension
    vocabularySize = configuration.vocabularySize
    contextLength = configuration.contextLength
    tiesEmbeddings = model.tiesEmbeddings
    features = configuration.features
    endOfTextTokens = configuration.endOfTextTokens
    parameterCount = model.parameterCount
    weightBytes = model.weightByteCount
    weightBytesByType = byTypeName(model.elementTypeByteCounts)
    cacheBytesPerToken = model.cacheByteCountPerPosition
    cacheBytesAtFullContext = model.cacheByteCount(length: configuration.contextLength)
    (self.tokenizer, tokenizerError) = Tokenizer.fields(tokenizer)
    precision = model.precision.rawValue
    instructionSet = model.stream.instructionSet.name
    availableInstructionSets = InstructionSet.available.map(\.name)
    threads = model.stream.threadCount
  }
}

extension ModelReport {
  /// The report for people.
  var table: String {
    let tokenizerText = tokenizer?.text ?? tokenizerError ?? "none"
    return tableText(
      [
        ("model", model),
        ("architecture", modelType),
        ("layers", String(layerCount)),
        ("width", "\(hiddenSize), feed-forward \(intermediateSize)"),
        ("heads", "\(headCount) query, \(keyValueHeadCount) key/value, dimension \(headDimension)"),
        ("vocabulary", "\(vocabularySize) tokens" + (tiesEmbeddings ? ", input and output embeddings tied" : "")),
        ("context", "\(contextLength) tokens"),
        ("features", features.isEmpty ? "none beyond Llama's" : features.joined(separator: ", ")),
        ("parameters", String(parameterCount)),
        ("weights", "\(byteText(weightBytes)) in memory, in files \(typesText(weightBytesByType))"),
        ("cache", "\(byteText(cacheBytesPerToken)) a token, \(byteText(cacheBytesAtFullContext)) at full context"),
        ("tokenizer", tokenizerText),
      ] + computeRows)
  }
}

/// The bytes of each element type by its name, as JSON has them.
func byTypeName(_ byteCounts: [ElementType: Int]) -> [String: Int] {
  Dictionary(uniqueKeysWithValues: byteCounts.map { ($0.key.rawValue, $0.value) })
}

/// The bytes of each element type, the most first.
func typesText(_ byteCounts: [String: Int]) -> String {
  byteCounts.sorted { $0.value > $1.value }.map { "\($0.key) \(byteText($0.value))" }.joined(separator: ", ")
}

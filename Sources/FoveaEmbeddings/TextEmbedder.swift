public import FoveaCore
public import FoveaModels
package import FoveaTokenizers

/// Text in, vectors out: tokenizer, model, pooling and what follows, as the model's folder says.
///
/// A text's vector is the same bits whatever else is embedded with it, in any order and on any number of threads.
public final class TextEmbedder: Sendable {
  /// The model whose hidden states are pooled.
  public let model: any TokenEncoder
  /// Where evaluation runs.
  public var stream: ComputeStream { model.stream }
  /// The most tokens of a text, special ones and those of a prompt included.
  public let sequenceLengthLimit: Int
  /// The number of values of a vector.
  public let dimensions: Int
  /// The model's prompts by name.
  public var prompts: [String: String] { layout.prompts }
  /// The name of the prompt that is put before texts where nothing else is asked for.
  public var defaultPromptName: String? { layout.defaultPromptName }
  /// How the model's vectors are compared.
  public var similarity: Similarity { layout.similarity }
  /// How hidden states become a vector.
  public var pooling: [PoolingMode] { layout.pooling }
  /// Whether vectors get length 1 unless an option says otherwise.
  public var normalizes: Bool { if case .normalize? = layout.modules.last { true } else { false } }
  /// Where config.json, the weights and the tokenizer lie: the folder that was loaded, or one inside of it.
  public var modelFolder: String { layout.modelFolder }
  /// What the folder leaves unsaid, in sentences for people.
  public var warnings: [String] { layout.warnings }

  let layout: EmbeddingLayout
  package let tokenizer: Result<any Tokenizer, any Error>

  private init(model: any TokenEncoder, layout: EmbeddingLayout, tokenizer: Result<any Tokenizer, any Error>) {
    self.model = model
    self.layout = layout
    self.tokenizer = tokenizer
    sequenceLengthLimit = min(layout.sequenceLengthLimit ?? .max, model.sequenceLengthLimit)
    dimensions = layout.outputSize(pooling: layout.pooling, hiddenSize: model.hiddenSize)
  }

  /// Loads a folder of sentence-transformers, or a plain checkpoint in Hugging Face layout, whose vectors are then means
  /// of hidden states (``warnings`` says so).
  ///
  /// A tokenizer that cannot be read is an error once a text is embedded; token ids do without.
  ///
  /// - Parameter threadCount: nil takes what the process may use.
  /// - Throws: errors that name the file at fault.
  public static func load(
    _ folder: String, precision: Precision = .native, threadCount: Int? = nil
  ) async throws -> TextEmbedder {
    let stream = try ComputeStream(name: "fovea", threadCount: threadCount)
    return try await load(folder, precision: precision, stream: stream)
  }

  /// Loads a folder for computation on `stream`, which other models may share.
  public static func load(
    _ folder: String, precision: Precision = .native, stream: ComputeStream
  ) async throws -> TextEmbedder {
    try await stream.perform { try TextEmbedder(folder: folder, precision: precision, stream: stream) }
  }

  /// Where the model and the tokenizer of a folder lie: in the folder, or where its modules.json says.
  package static func modelFolder(of folder: String) throws -> String {
    try EmbeddingLayout(folder: folder).modelFolder
  }

  package convenience init(folder: String, precision: Precision, stream: ComputeStream) throws {
    let layout = try EmbeddingLayout(folder: folder)
    let modelFolder = layout.modelFolder
    let model: any TokenEncoder =
      if try EncoderConfiguration.load(folder: modelFolder) != nil {
        try EncoderModel.load(folder: modelFolder, precision: precision, stream: stream)
      } else {
        try DecoderModel.loadForStates(folder: modelFolder, precision: precision, stream: stream)
      }
    var width = model.hiddenSize * layout.pooling.count
    for case .dense(let layer, _) in layout.modules {
      guard layer.inputSize == width else {
        throw EmbeddingError(
          .malformedFile, file: "\(folder)/modules.json",
          "a dense layer takes \(layer.inputSize) values, but gets \(width)")
      }
      width = layer.outputSize
    }
    let tokenizer = Result<any Tokenizer, any Error> {
      let tokenizer = try loadTokenizer(folder: modelFolder)
      try tokenizer.checkVocabulary(fitsModelOf: model.vocabularySize, folder: modelFolder)
      return tokenizer
    }
    self.init(model: model, layout: layout, tokenizer: tokenizer)
  }
}

extension EmbeddingLayout {
  /// The number of values of a vector.
  func outputSize(pooling: [PoolingMode], hiddenSize: Int) -> Int {
    modules.reduce(pooling.count * hiddenSize) { $1.outputSize($0) }
  }
}

internal import FoveaCore
internal import FoveaModels

/// The parts of a folder of sentence-transformers, or of a plain checkpoint.
struct EmbeddingLayout: Sendable {
  /// The folder of the model and its tokenizer.
  var modelFolder: String
  /// The most tokens of a text, if the files say it.
  var sequenceLengthLimit: Int?
  /// Whether texts are put into lower case first.
  var lowersCase = false
  /// Whose vectors lie one behind another.
  var pooling: [PoolingMode] = [.mean]
  /// Whether the tokens of a prompt count in pooling.
  var poolsPrompt = true
  var modules: [EmbeddingModule] = []
  /// Texts by name.
  var prompts: [String: String] = [:]
  var defaultPromptName: String?
  var similarity = Similarity.cosine
  /// `truncate_dim`.
  var dimensions: Int?
  var warnings: [String] = []

  /// Reads what `folder` holds.
  ///
  /// - Throws: ``EmbeddingError`` or `ModelError` that names the file and the setting; `SafetensorsError` about the
  ///   weights of dense layers.
  init(folder: String) throws {
    modelFolder = folder
    try readSettings("\(folder)/config_sentence_transformers.json")
    let path = "\(folder)/modules.json"
    if let value = try Self.readJSON(path) {
      try readModules(value, folder: folder, path: path)
    } else {
      warnings.append(
        "\(folder) has no modules.json: its vectors are the means of its hidden states, not normalised")
    }
    let prefix = modelFolder + "/"
    let names = ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"]
    for name in names {
      guard let settings = try ConfigurationReader.read("\(prefix)sentence_\(name)_config.json") else { continue }
      sequenceLengthLimit = try settings.integer("max_seq_length", in: 1...1 << 27)
      lowersCase = try settings.bool("do_lower_case") ?? false
      break
    }
    // The tokenizer's own limit, which may be an absurd number that means none.
    if sequenceLengthLimit == nil,
      let limit = try ConfigurationReader.read("\(prefix)tokenizer_config.json")?["model_max_length"]?.integer
    {
      sequenceLengthLimit = (1...1 << 27).contains(limit) ? limit : nil
    }
  }

  private static func readJSON(_ path: String) throws -> JSONValue? {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: 1 << 24)
    } catch {
      if error.isMissing { return nil }
      throw EmbeddingError(.missingFile, file: path, error.reason)
    }
    do throws(JSONError) {
      return try JSONValue(parsing: bytes)
    } catch {
      throw EmbeddingError(.malformedFile, file: path, "\(error.message) (at byte \(error.byteOffset))")
    }
  }

  // MARK: config_sentence_transformers.json

  private mutating func readSettings(_ path: String) throws {
    guard let settings = try ConfigurationReader.read(path) else { return }
    if let value = settings["prompts"] {
      guard case .object(let members) = value else { throw settings.invalid("prompts", "an object of strings", value) }
      for (name, text) in members {
        guard case .string(let text) = text else { throw settings.invalid("prompts", "an object of strings", text) }
        prompts[name] = text
      }
    }
    if let name = try settings.string("default_prompt_name") {
      guard prompts[name] != nil else {
        throw EmbeddingError(
          .malformedFile, file: path, "'default_prompt_name' is '\(printable(name))', which 'prompts' does not have")
      }
      defaultPromptName = name
    }
    if let name = try settings.string("similarity_fn_name") {
      guard let similarity = Similarity(rawValue: name) else {
        throw EmbeddingError(
          .unsupportedFeature, file: path,
          "'similarity_fn_name' is '\(printable(name))'; Fovea has "
            + Similarity.allCases.map(\.rawValue).joined(separator: ", "))
      }
      self.similarity = similarity
    }
    dimensions = try settings.integer("truncate_dim", in: 1...1 << 24)
  }

  // MARK: modules.json

  private mutating func readModules(_ value: JSONValue, folder: String, path: String) throws {
    guard case .array(let entries) = value else {
      throw EmbeddingError(.malformedFile, file: path, "must be a list of modules, found \(value.summary)")
    }
    var kinds: [String] = []
    for (index, entry) in entries.enumerated() {
      guard case .object(let members) = entry, case .string(let type)? = members["type"] else {
        throw EmbeddingError(.malformedFile, file: path, "module \(index) has no 'type'")
      }
      var part = ""
      if case .string(let text)? = members["path"] { part = text }
      guard !part.hasPrefix("/"), !part.split(separator: "/").contains(".."), !part.utf8.contains(0) else {
        throw EmbeddingError(
          .malformedFile, file: path, "module \(index) lies at '\(printable(part))', outside of the model's folder")
      }
      let moduleFolder = part.isEmpty ? folder : "\(folder)/\(part)"
      let kind = type.split(separator: ".").last.map(String.init) ?? type
      switch (kind, kinds.last) {
      case ("Transformer", nil): modelFolder = moduleFolder
      case ("Pooling", "Transformer"?): try readPooling("\(moduleFolder)/config.json")
      case ("Dense", _?) where kinds.contains("Pooling"): modules.append(try Self.dense(moduleFolder))
      case ("Normalize", _?) where kinds.contains("Pooling"): modules.append(.normalize)
      // Does nothing outside of training.
      case ("Dropout", _?): continue
      default:
        throw EmbeddingError(
          .unsupportedFeature, file: path,
          "module \(index) is '\(printable(type))'\(kinds.last.map { " after \(printable($0))" } ?? ""); Fovea has "
            + "Transformer, then Pooling, then Dense and Normalize")
      }
      kinds.append(kind)
    }
    guard kinds.contains("Pooling") else {
      throw EmbeddingError(.unsupportedFeature, file: path, "has no Pooling module")
    }
  }

  private static let flags: [(key: String, mode: PoolingMode)] = [
    ("pooling_mode_cls_token", .firstToken), ("pooling_mode_max_tokens", .max), ("pooling_mode_mean_tokens", .mean),
    ("pooling_mode_mean_sqrt_len_tokens", .meanOverSquareRoot), ("pooling_mode_weightedmean_tokens", .weightedMean),
    ("pooling_mode_lasttoken", .lastToken),
  ]

  private mutating func readPooling(_ path: String) throws {
    guard let settings = try ConfigurationReader.read(path) else {
      throw EmbeddingError(.missingFile, file: path, "there is no such file")
    }
    poolsPrompt = try settings.bool("include_prompt") ?? true
    if let value = settings["pooling_mode"] {
      let names = if case .array(let names) = value { names } else { [value] }
      pooling = try names.map { name in
        guard case .string(let text) = name, let mode = PoolingMode(rawValue: text) else {
          let known = PoolingMode.allCases.map(\.rawValue).joined(separator: ", ")
          throw EmbeddingError(
            .unsupportedFeature, file: path, "'pooling_mode' holds \(name.summary); Fovea has \(known)")
        }
        return mode
      }
      guard !pooling.isEmpty else { throw settings.invalid("pooling_mode", "a name or a list of some", value) }
      return
    }
    var modes: [PoolingMode] = []
    for (key, mode) in Self.flags where try settings.bool(key) == true { modes.append(mode) }
    // Without any flag sentence-transformers takes the mean.
    if !modes.isEmpty { pooling = modes }
  }

  private static func dense(_ folder: String) throws -> EmbeddingModule {
    let path = "\(folder)/config.json"
    guard let settings = try ConfigurationReader.read(path) else {
      throw EmbeddingError(.missingFile, file: path, "there is no such file")
    }
    for key in ["module_input_name", "module_output_name"] {
      let name = try settings.string(key) ?? "sentence_embedding"
      guard name == "sentence_embedding" else {
        throw settings.unsupported("'\(key)' is '\(printable(name))'; Fovea has dense layers of whole texts only")
      }
    }
    guard try settings.bool("use_residual") != true else {
      throw settings.unsupported("'use_residual' is true; Fovea has dense layers without one")
    }
    let name = try settings.string("activation_function") ?? "torch.nn.modules.activation.Tanh"
    let parts = name.split(separator: ".")
    guard parts.first == "torch", let activation = parts.last.flatMap({ DenseActivation(rawValue: String($0)) }) else {
      throw settings.unsupported(
        "'activation_function' is '\(printable(name))'; Fovea has PyTorch's "
          + DenseActivation.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let layer = try DenseLayer(
      folder: folder, inputSize: settings.requiredSize("in_features", limit: 1 << 24),
      outputSize: settings.requiredSize("out_features", limit: 1 << 24), hasBias: settings.bool("bias") ?? true)
    return .dense(layer, activation)
  }
}

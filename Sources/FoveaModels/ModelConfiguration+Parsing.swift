#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension ModelConfiguration {
  /// Reads config.json, and generation_config.json where there is one, from a folder.
  ///
  /// - Throws: ``ModelError`` naming the file, the key, what was found and what was expected.
  public static func load(folder: String) throws(ModelError) -> ModelConfiguration {
    let configurationFile = folder + "/config.json"
    let generationFile = folder + "/generation_config.json"
    let configuration = try contents(of: configurationFile)
    let generation = access(generationFile, F_OK) == 0 ? try contents(of: generationFile) : nil
    return try ModelConfiguration(
      configuration: configuration, file: configurationFile, generation: generation, generationFile: generationFile)
  }

  private static func contents(of file: String) throws(ModelError) -> [UInt8] {
    // A configuration is a few kilobytes; a file of another kind should not fill the memory.
    let limit = 16 << 20
    guard let stream = fopen(file, "rb") else {
      throw ModelError(kind: .unreadableFile, message: "\(file): \(String(cString: strerror(errno)))")
    }
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, stream)
      if count == 0 { break }
      bytes += buffer[..<count]
      guard bytes.count <= limit else {
        throw ModelError(kind: .invalidConfiguration, message: "\(file): larger than \(limit) bytes")
      }
    }
    guard ferror(stream) == 0 else {
      throw ModelError(kind: .unreadableFile, message: "\(file): \(String(cString: strerror(errno)))")
    }
    return bytes
  }

  /// Reads the two files' bytes; their paths are for errors only.
  package init(
    configuration: [UInt8], file: String, generation: [UInt8]? = nil,
    generationFile: String = "generation_config.json"
  ) throws(ModelError) {
    let object = try JSONObject(configuration, file: file)
    family = try Self.family(object)
    hiddenSize = try object.requiredWholeNumber("hidden_size", in: 1...1 << 20)
    intermediateSize = try object.requiredWholeNumber("intermediate_size", in: 1...1 << 20)
    layerCount = try object.requiredWholeNumber("num_hidden_layers", in: 1...10_000)
    headCount = try object.requiredWholeNumber("num_attention_heads", in: 1...1 << 16)
    keyValueHeadCount = try object.wholeNumber("num_key_value_heads", in: 1...1 << 16) ?? headCount
    guard headCount % keyValueHeadCount == 0 else {
      throw object.invalid("num_key_value_heads", expected: "a divisor of num_attention_heads (\(headCount))")
    }
    if let dimension = try object.wholeNumber("head_dim", in: 1...1 << 14) {
      headDimension = dimension
    } else {
      guard hiddenSize % headCount == 0 else {
        throw object.invalid("head_dim", expected: "given, since hidden_size is no multiple of num_attention_heads")
      }
      headDimension = hiddenSize / headCount
    }
    vocabularySize = try object.requiredWholeNumber("vocab_size", in: 1...1 << 24)
    contextLength = try object.requiredWholeNumber("max_position_embeddings", in: 1...1 << 27)
    normEpsilon = Float(try object.number("rms_norm_eps", in: 1e-30...1) ?? 1e-6)
    attentionBias = try object.bool("attention_bias") ?? false
    feedForwardBias = try object.bool("mlp_bias") ?? false
    tiesEmbeddings = try object.bool("tie_word_embeddings") ?? false
    rotary = try RotaryConfiguration(object, contextLength: contextLength)
    let rotaryDimension = Int(Double(headDimension) * rotary.partialFactor)
    guard rotaryDimension >= 2, rotaryDimension % 2 == 0 else {
      throw object.invalid("head_dim", expected: "such that an even number of elements, at least 2, is rotated")
    }
    if case .dynamic = rotary.scaling, rotaryDimension == 2 {
      throw object.invalid("head_dim", expected: "greater than 2 for dynamic rotary scaling")
    }
    let tokens = 0...vocabularySize - 1
    beginningOfTextToken = try object.wholeNumbers("bos_token_id", in: tokens)?.first
    endOfTextTokens = try object.wholeNumbers("eos_token_id", in: tokens) ?? []
    try Self.checkFeatures(object)

    if let generation {
      let generationObject = try JSONObject(generation, file: generationFile)
      if let tokens = try generationObject.wholeNumbers("eos_token_id", in: tokens) { endOfTextTokens = tokens }
    }
  }

  private static func family(_ object: JSONObject) throws(ModelError) -> ModelFamily {
    let known = ModelFamily.allCases.map(\.rawValue).joined(separator: ", ")
    guard let name = try object.string("model_type") else {
      throw object.invalid("model_type", expected: "one of \(known)")
    }
    guard let family = ModelFamily(rawValue: name) else {
      throw ModelError(
        kind: .unknownFamily, message: "\(object.file): the model type '\(name)' is not known; known are \(known)")
    }
    return family
  }

  /// Refuses what would run wrong if it were passed over.
  private static func checkFeatures(_ object: JSONObject) throws(ModelError) {
    func unsupported(_ what: String) -> ModelError {
      ModelError(kind: .unsupportedFeature, message: "\(object.file): \(what) is not supported")
    }
    let activation = try object.string("hidden_act") ?? "silu"
    guard ["silu", "swish"].contains(activation) else { throw unsupported("the activation '\(activation)'") }
    for key in ["quantization", "quantization_config"] where object[key] != nil { throw unsupported("'\(key)'") }
    if object["sliding_window"] != nil { throw unsupported("'sliding_window' in a model of type llama") }
  }
}

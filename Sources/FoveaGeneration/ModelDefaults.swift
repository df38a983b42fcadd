#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension GenerationOptions {
  /// What a model's `generation_config.json` asks for; greedy choice where the folder has none.
  ///
  /// As in Hugging Face's `generate`: `do_sample` absent or false is greedy; with `do_sample` and no `temperature` or
  /// `top_k` those are 1 and 50. Fields that Fovea has no counterpart for are passed over.
  ///
  /// - Throws: ``GenerationError`` for a file that cannot be read, is not JSON, or holds a value out of range.
  public static func defaults(folder: String) throws(GenerationError) -> GenerationOptions {
    let path = folder + "/generation_config.json"
    guard FileManager.default.fileExists(atPath: path) else { return GenerationOptions() }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadableFile(path: path, message: "cannot be read")
    }
    let file: GenerationFile
    do {
      file = try JSONDecoder().decode(GenerationFile.self, from: data)
    } catch {
      throw .malformedFile(path: path, message: describe(error))
    }
    let options = file.options
    do {
      try options.validate()
    } catch {
      throw .malformedFile(path: path, message: error.description)
    }
    return options
  }

  private static func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "cannot be read as JSON" }
    switch error {
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return "\(context.codingPath.map(\.stringValue).joined(separator: ".")) is no \(type)"
    case .keyNotFound, .dataCorrupted:
      return "is not valid JSON"
    @unknown default:
      return "is not valid JSON"
    }
  }
}

/// The fields of `generation_config.json` that are used here. Its end-of-text tokens belong to the model.
private struct GenerationFile: Decodable {
  let samples: Bool?
  let temperature: Double?
  let topK: Int?
  let topP: Double?
  let minP: Double?
  let repetitionPenalty: Double?
  let maximumTokens: Int?

  enum CodingKeys: String, CodingKey {
    case samples = "do_sample"
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
    case repetitionPenalty = "repetition_penalty"
    case maximumTokens = "max_new_tokens"
  }

  var options: GenerationOptions {
    var options = GenerationOptions()
    let samples = samples ?? false
    options.sampling.temperature = samples ? temperature ?? 1 : 0
    options.sampling.topK = topK ?? (samples ? 50 : 0)
    options.sampling.topP = topP ?? 1
    options.sampling.minP = minP ?? 0
    options.sampling.repetitionPenalty = repetitionPenalty ?? 1
    options.maximumTokens = maximumTokens ?? GenerationOptions.defaultMaximumTokens
    return options
  }
}

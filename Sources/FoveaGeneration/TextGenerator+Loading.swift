public import FoveaCore
public import FoveaModels
package import FoveaTokenizers

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension TextGenerator {
  /// Loads the model, tokenizer and default options of a folder in Hugging Face layout.
  ///
  /// - Parameters:
  ///   - threadCount: nil takes what the process may use.
  ///   - cacheFormat: in which form the model's caches hold keys and values.
  /// - Throws: errors that name the file at fault; `TokenizerError` where the tokenizer knows more tokens than the model.
  public static func load(
    folder: String, precision: Precision = .native, threadCount: Int? = nil,
    cacheFormat: CacheFormat = CacheFormat()
  ) async throws -> TextGenerator {
    let stream = try ComputeStream(name: "fovea", threadCount: threadCount)
    return try await load(folder: folder, precision: precision, stream: stream, cacheFormat: cacheFormat)
  }

  /// Loads a folder for computation on `stream`, which other models may share.
  public static func load(
    folder: String, precision: Precision = .native, stream: ComputeStream,
    cacheFormat: CacheFormat = CacheFormat()
  ) async throws -> TextGenerator {
    try await stream.perform {
      let model = try DecoderModel.load(
        folder: folder, precision: precision, stream: stream, cacheFormat: cacheFormat)
      return try TextGenerator(
        evaluator: model, tokenizer: tokenizerIfPresent(folder: folder),
        defaultOptions: GenerationOptions.defaults(folder: folder), folder: folder,
        chatTemplate: Result { () throws(TemplateError) in try ChatTemplate.load(folder: folder) })
    }
  }

  /// A folder without a tokenizer that is supported serves prompts of token ids; a broken tokenizer is an error.
  package static func tokenizerIfPresent(folder: String) throws -> (any Tokenizer)? {
    // Only absence counts: a file that cannot be read is the tokenizer's to report.
    let isAbsent = ["/tokenizer.json", "/tokenizer.model"].allSatisfy {
      access(folder + $0, F_OK) != 0 && errno == ENOENT
    }
    return isAbsent ? nil : try loadTokenizer(folder: folder)
  }
}

/// Loads the tokenizer of a model's folder in Hugging Face layout.
///
/// `tokenizer.json` is taken where there is one, as transformers does; otherwise `tokenizer.model`, a SentencePiece model
/// of type BPE or Unigram, which also serves where `tokenizer.json` needs what is not supported. Both go with
/// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` where they exist. A `tokenizer.model` without
/// these follows Hugging Face's LlamaTokenizer: `<s>` is put before a text, nothing after it.
///
/// - Throws: `TokenizerError` that names the file at fault: `missingFile`, `malformedFile` or `unsupported`.
public func loadTokenizer(folder: String) throws(TokenizerError) -> any Tokenizer {
  try requireFolder(folder)
  let (jsonFile, modelFile) = (folder + "/tokenizer.json", folder + "/tokenizer.model")
  if let bytes = try readTokenizerFile(jsonFile) {
    do throws(TokenizerError) {
      return try PieceTokenizer(fileBytes: bytes, file: jsonFile, configuration: TokenizerConfiguration(folder: folder))
    } catch  where error.kind == .unsupported {
      guard let bytes = try readTokenizerFile(modelFile) else { throw error }
      return try SentencePieceTokenizer(
        modelBytes: bytes, file: modelFile, configuration: TokenizerConfiguration(folder: folder))
    }
  }
  guard let bytes = try readTokenizerFile(modelFile) else {
    throw TokenizerError(.missingFile, file: folder, "holds neither tokenizer.model nor tokenizer.json")
  }
  return try SentencePieceTokenizer(
    modelBytes: bytes, file: modelFile, configuration: TokenizerConfiguration(folder: folder))
}

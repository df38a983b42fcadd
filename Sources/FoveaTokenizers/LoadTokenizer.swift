/// Loads the tokenizer of a model's folder in Hugging Face layout.
///
/// Taken today: a SentencePiece `tokenizer.model` of type BPE or Unigram, with `tokenizer_config.json`,
/// `special_tokens_map.json` and `added_tokens.json` where they exist. A folder without these follows Hugging Face's
/// LlamaTokenizer: `<s>` is put before a text, nothing after it.
///
/// - Throws: `TokenizerError` that names the file at fault: `missingFile`, `malformedFile` or `unsupported`.
public func loadTokenizer(folder: String) throws(TokenizerError) -> any Tokenizer {
  try requireFolder(folder)
  let file = folder + "/tokenizer.model"
  if let bytes = try readTokenizerFile(file) {
    return try SentencePieceTokenizer(
      modelBytes: bytes, file: file, configuration: TokenizerConfiguration(folder: folder))
  }
  if try readTokenizerFile(folder + "/tokenizer.json") != nil {
    throw TokenizerError(
      .unsupported, file: folder + "/tokenizer.json",
      "byte-level BPE from tokenizer.json is not supported yet, and there is no tokenizer.model beside it")
  }
  throw TokenizerError(.missingFile, file: folder, "holds neither tokenizer.model nor tokenizer.json")
}

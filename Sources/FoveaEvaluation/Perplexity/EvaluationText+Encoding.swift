public import FoveaModels
public import FoveaTokenizers

extension EvaluationText {
  /// The tokens of `texts` as the references of `method` make them.
  ///
  /// llama.cpp reads the spelling of special tokens in a text as text, Hugging Face and lm-eval as those tokens. Special
  /// tokens are added as the tokenizer's settings ask for, but not for ``PerplexityMethod/rolling``, which puts one token
  /// before the text itself.
  ///
  /// - Parameters:
  ///   - prefixToken: in the place of the tokenizer's beginning-of-text token.
  ///   - addSpecialTokens: nil for what is said above.
  /// - Throws: `TokenizerError` for a text that the tokenizer cannot express.
  public init(
    _ texts: [String], method: PerplexityMethod, tokenizer: any Tokenizer, prefixToken: Int? = nil,
    addSpecialTokens: Bool? = nil
  ) throws(TokenizerError) {
    var documents: [[Int]] = []
    var size = TextSize(byteCount: 0, wordCount: 0)
    for text in texts {
      documents.append(
        try tokenizer.encode(
          text, addSpecialTokens: addSpecialTokens ?? (method != .rolling), parseSpecialTokens: method != .chunked))
      size = size + TextSize(text)
    }
    let ownToken = tokenizer.beginningOfTextToken
    let leading: Int? =
      switch method {
      case .rolling: ownToken ?? tokenizer.endOfTextToken
      case .streaming where addSpecialTokens == false: nil
      case .chunked, .strided, .streaming: tokenizer.addsBeginningOfText ? ownToken : nil
      }
    self.init(documents: documents, size: size, beginningOfTextToken: prefixToken ?? leading)
  }

  /// Tokens that were made elsewhere, as one document without a known size.
  ///
  /// ``PerplexityMethod/rolling`` begins with the configuration's beginning-of-text (else end-of-text) token; the other
  /// methods put nothing before or in the place of a token, unless `prefixToken` is given.
  public init(tokens: [Int], method: PerplexityMethod, configuration: ModelConfiguration, prefixToken: Int? = nil) {
    let leading =
      method == .rolling ? configuration.beginningOfTextToken ?? configuration.endOfTextTokens.first : nil
    self.init(documents: [tokens], size: nil, beginningOfTextToken: prefixToken ?? leading)
  }
}

public import FoveaTokenizers

/// Splits context and continuation into tokens by lm-eval's rules, so that its tasks give the same numbers.
public struct ContinuationEncoding: Sendable {
  /// Splits text.
  public let tokenizer: any Tokenizer
  /// What an empty context is replaced by: the beginning-of-text token, else the end-of-text token.
  public let prefixToken: Int?
  /// Whether special tokens are added to texts; nil for what the tokenizer's settings ask for.
  public let addsSpecialTokens: Bool?

  /// Rules for `tokenizer`, whose own token is the prefix unless another is given.
  public init(tokenizer: any Tokenizer, prefixToken: Int? = nil, addsSpecialTokens: Bool? = nil) {
    self.tokenizer = tokenizer
    self.prefixToken = prefixToken ?? tokenizer.beginningOfTextToken ?? tokenizer.endOfTextToken
    self.addsSpecialTokens = addsSpecialTokens
  }

  /// The tokens of a text that stands for itself. Special tokens are not added to one that begins with the spelling of
  /// the prefix token.
  ///
  /// - Throws: `TokenizerError` for a text that the tokenizer cannot express.
  public func tokens(of text: String) throws(TokenizerError) -> [Int] {
    var adds = addsSpecialTokens ?? true
    if let prefixToken, let spelling = tokenizer.piece(of: prefixToken), !spelling.isEmpty,
      text.utf8.starts(with: spelling.utf8)
    {
      adds = false
    }
    return try tokenizer.encode(text, addSpecialTokens: adds)
  }

  /// The tokens of `context` and of `continuation` after it.
  ///
  /// White space at the end of the context moves to the continuation, since tokenizers join it with the word that
  /// follows; both are then encoded together, and the continuation's tokens are those beyond the context's own. An empty
  /// context becomes the prefix token, unless the continuation begins with that.
  ///
  /// - Throws: `TokenizerError` for a text that the tokenizer cannot express.
  public func tokens(
    context: String, continuation: String
  ) throws(TokenizerError) -> (context: [Int], continuation: [Int]) {
    guard !context.isEmpty else {
      let tokens = try tokenizer.encode(continuation, addSpecialTokens: false)
      guard let prefixToken, tokens.first != prefixToken else {
        return (Array(tokens.prefix(1)), Array(tokens.dropFirst()))
      }
      return ([prefixToken], tokens)
    }
    let scalars = context.unicodeScalars
    var end = scalars.endIndex
    while end > scalars.startIndex, TextSize.isPythonSpace(scalars[scalars.index(before: end)]) {
      end = scalars.index(before: end)
    }
    let contextTokens = try tokens(of: String(scalars[..<end]))
    let whole = try tokens(of: context + continuation)
    return (contextTokens, Array(whole.dropFirst(contextTokens.count)))
  }
}

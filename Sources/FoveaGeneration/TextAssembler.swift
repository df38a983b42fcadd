internal import FoveaTokenizers

/// Turns generated tokens into text that is certain: whole characters that are no part of a stop string.
struct TextAssembler {
  /// What the prompt's tokens spell.
  let promptText: String
  private var detokenizer: (any StreamingDetokenizer)?
  private let vocabularySize: Int
  private var matcher: StopMatcher

  /// Reads the prompt first, since the text of a token depends on what stands before it: a leading space is dropped only
  /// at the beginning.
  init(_ tokenizer: (any Tokenizer)?, prompt: [Int], stopStrings: [String]) throws {
    if tokenizer == nil, !stopStrings.isEmpty { throw GenerationError.missingTokenizer(need: "a stop string") }
    matcher = try StopMatcher(stopStrings: stopStrings)
    vocabularySize = tokenizer?.vocabularySize ?? 0
    var detokenizer = tokenizer?.makeStreamingDetokenizer()
    var text = ""
    for token in prompt where token < vocabularySize { text += try detokenizer?.append(token) ?? "" }
    self.detokenizer = detokenizer
    promptText = text
  }

  /// Takes the next token. Models may have more embeddings than the tokenizer has tokens; the surplus spells nothing.
  mutating func append(_ token: Int) throws -> StopMatcher.Output {
    guard token < vocabularySize else { return matcher.append("") }
    return matcher.append(try detokenizer?.append(token) ?? "")
  }

  /// Ends the text and returns what was held back.
  mutating func finish() -> String {
    let rest = matcher.append(detokenizer?.finish() ?? "")
    return rest.text + matcher.finish()
  }
}

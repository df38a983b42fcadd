/// How a text longer than the context is cut into windows, and which of their tokens are scored.
public enum PerplexityMethod: String, Sendable, CaseIterable {
  /// llama.cpp's: non-overlapping chunks of the context length n (512 by default), the first token of each replaced by
  /// the beginning-of-text token where the tokenizer adds one; the last n − n/2 − 1 tokens of a chunk are scored; what is
  /// left at the end is dropped.
  case chunked
  /// Hugging Face's: windows of the context length, moved on by the stride; each token scored once, in the first window
  /// that has it, after all that precedes it there. A window's very first token has nothing before it and is left out.
  ///
  /// The example in transformers' documentation averages window means with weights that are one token short for every
  /// window but the first; here every token has the same weight.
  case strided
  /// lm-eval's: every token is scored. The first window follows the beginning-of-text (else the end-of-text) token, the
  /// next ones one token of the text, and the last, which is shorter, as much of the text as fits.
  case rolling
  /// Every token after what a cache of the first tokens and the latest ones keeps of those before it, for texts of any
  /// length: the bits are those of evaluation token by token.
  case streaming
}

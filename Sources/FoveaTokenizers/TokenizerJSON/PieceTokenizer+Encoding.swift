extension PieceTokenizer {
  /// Splits UTF-8 bytes into tokens. See `Tokenizer`.
  public func encode(
    bytes: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool
  ) throws(TokenizerError) -> [Int] {
    guard bytes.count < 1 << 30 else {
      throw TokenizerError(.unencodableText, file: file, "a text of \(bytes.count) bytes is too long")
    }
    let text =
      String(validating: bytes, as: UTF8.self) == nil ? Array(String(decoding: bytes, as: UTF8.self).utf8) : bytes
    var run = EncodingRun(tokens: [])
    run.tokens.reserveCapacity(text.count / 3)
    do throws(Regex.Failure) {
      for segment in rawMatcher.split(text, ignoresSpecial: !parseSpecialTokens) {
        switch segment {
        case .token(let token): run.tokens.append(Int32(token))
        case .text(let range):
          var normalized = range == text.indices ? text : Array(text[range])
          for normalizer in normalizers { try normalizer.apply(to: &normalized) }
          try encode(
            normalized: normalized, isBeginning: range.lowerBound == 0, ignoresSpecial: !parseSpecialTokens, &run)
        }
      }
    } catch {
      throw TokenizerError(.unencodableText, file: file, error.reason)
    }
    if let failure = run.failure { throw TokenizerError(.unencodableText, file: file, failure.reason) }
    let tokens = run.tokens.map { Int($0) }
    return addSpecialTokens ? postProcessor.prefix + tokens + postProcessor.suffix : tokens
  }

  /// What one call of `encode` carries from word to word.
  private struct EncodingRun {
    var tokens: [Int32]
    var workspace = MergeWorkspace()
    var cache = WordCache()
    var failure: ModelFailure?
  }

  private func encode(
    normalized: [UInt8], isBeginning: Bool, ignoresSpecial: Bool, _ run: inout EncodingRun
  ) throws(Regex.Failure) {
    for segment in normalizedMatcher.split(normalized, ignoresSpecial: ignoresSpecial) {
      switch segment {
      case .token(let token): run.tokens.append(Int32(token))
      case .text(let range):
        var text = PreTokenizedText(
          range == normalized.indices ? normalized : Array(normalized[range]),
          isBeginning: isBeginning && range.lowerBound == 0)
        for preTokenizer in preTokenizers { try preTokenizer.apply(to: &text) }
        if let model = model as? BytePairModel {
          encodeWords(of: text, model, &run) { model.endOfPart($0, $1) }
        } else {
          encodeWords(of: text, model, &run) { $1.upperBound }
        }
      }
    }
  }

  @inline(__always)
  private func encodeWords(
    of text: PreTokenizedText, _ model: some TokenModel, _ run: inout EncodingRun,
    endOfPart: (_ bytes: [UInt8], _ word: Range<Int>) -> Int
  ) {
    for piece in text.pieces {
      var start = piece.lowerBound
      while start < piece.upperBound {
        let part = start..<endOfPart(text.bytes, start..<piece.upperBound)
        start = part.upperBound
        let hashState = Vocabulary.hash(of: text.bytes, part)
        if run.cache.append(text.bytes, part, hashState: hashState, to: &run.tokens) { continue }
        let first = run.tokens.count
        do throws(ModelFailure) {
          try model.tokenize(text.bytes, part, into: &run.tokens, workspace: &run.workspace)
        } catch {
          run.failure = error
          return
        }
        run.cache.add(text.bytes, part, run.tokens[first...])
      }
    }
  }
}

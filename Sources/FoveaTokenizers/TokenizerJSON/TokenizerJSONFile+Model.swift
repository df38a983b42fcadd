internal import FoveaCore

extension TokenizerJSONFile {
  /// The model that the file describes.
  func model(file: String) throws(TokenizerError) -> any TokenModel {
    let reader = try ComponentReader(.object(modelMembers), path: "model", file: file)
    let type = try reader.optionalString("type") ?? guessedType
    if type == "Unigram" {
      guard scores != nil else { throw TokenizerError(.malformedFile, file: file, "model.vocab: expected a list") }
    } else if scores != nil {
      throw TokenizerError(.malformedFile, file: file, "model.vocab: expected an object")
    }
    if type != "BPE", merges.isPresent {
      throw TokenizerError(.malformedFile, file: file, "model.merges: a model of type \(printable(type)) has none")
    }
    switch type {
    case "BPE": return try bytePairModel(reader)
    case "WordPiece":
      try reader.expectOnly("unk_token", "continuing_subword_prefix", "max_input_chars_per_word")
      return WordPieceModel(
        vocabulary: vocabulary, unknown: try reader.string("unk_token"),
        continuationPrefix: try reader.optionalString("continuing_subword_prefix") ?? "##",
        characterCountLimit: try reader.count("max_input_chars_per_word", default: 100))
    case "WordLevel":
      try reader.expectOnly("unk_token")
      return WordLevelModel(vocabulary: vocabulary, unknownSpelling: try reader.string("unk_token"))
    case "Unigram": return try unigramModel(reader)
    default: throw reader.unsupported("the type \(String(reflecting: type)) is not known")
    }
  }

  /// Files of old have no type.
  private var guessedType: String {
    if scores != nil { return "Unigram" }
    if merges.isPresent { return "BPE" }
    return modelMembers["continuing_subword_prefix"] != nil ? "WordPiece" : "WordLevel"
  }

  private func unigramModel(_ reader: ComponentReader) throws(TokenizerError) -> UnigramModel {
    try reader.expectOnly("unk_id", "byte_fallback")
    let unknown = reader.value("unk_id") == nil ? nil : try reader.count("unk_id")
    if let unknown, unknown >= vocabulary.count {
      throw reader.malformed("unk_id", "less than the number of tokens, \(vocabulary.count)")
    }
    return UnigramModel(
      vocabulary: vocabulary, scores: scores ?? [], unknownToken: unknown,
      fallsBackToBytes: try reader.bool("byte_fallback", default: false))
  }

  private func bytePairModel(_ reader: ComponentReader) throws(TokenizerError) -> BytePairModel {
    try reader.expectOnly(
      "unk_token", "fuse_unk", "byte_fallback", "ignore_merges", "continuing_subword_prefix", "end_of_word_suffix",
      "dropout")
    if let dropout = reader.value("dropout") {
      guard let rate = dropout.double else { throw reader.malformed("dropout", "a number") }
      guard rate == 0 else { throw reader.unsupported("dropout, which makes tokens a matter of chance") }
    }
    guard merges.isPresent else { throw reader.malformed("merges", "a list") }
    let options = BytePairModel.Options(
      unknown: try reader.optionalString("unk_token"), fusesUnknown: try reader.bool("fuse_unk", default: false),
      fallsBackToBytes: try reader.bool("byte_fallback", default: false),
      ignoresMerges: try reader.bool("ignore_merges", default: false),
      continuationPrefix: try reader.optionalString("continuing_subword_prefix") ?? "",
      wordSuffix: try reader.optionalString("end_of_word_suffix") ?? "")
    var table = MergeTable(expectedCount: merges.bounds.count)
    let space = Array(String(spaceSymbol).utf8)
    let prefixByteCount = options.continuationPrefix.utf8.count
    var isSpaceCrossed = false
    var lastMerged: Int32 = -1
    for (rank, bound) in merges.bounds.enumerated() {
      let (start, middle, end) = (Int(bound.start), Int(bound.middle), Int(bound.end))
      let left = vocabulary.identifier(of: merges.content, start..<middle)
      let right = vocabulary.identifier(of: merges.content, middle..<end)
      guard let left, let right, let merged = mergedToken(start, middle, end, prefixByteCount, after: lastMerged) else {
        let culprit =
          left == nil ? start..<middle : right == nil ? middle..<end : start..<end
        let spelling = String(decoding: merges.content[culprit], as: UTF8.self)
        throw TokenizerError(
          .malformedFile, file: reader.file,
          "model.merges[\(rank)]: \"\(printable(spelling, limit: 60))\" is no token of the vocabulary")
      }
      lastMerged = merged
      table.add(left, right, rank: rank, merged: merged)
      if merges.content[middle..<end].starts(with: space), start < middle,
        !(middle - start >= 3 && merges.content[middle - 3..<middle].elementsEqual(space))
      {
        isSpaceCrossed = true
      }
    }
    return BytePairModel(vocabulary: vocabulary, merges: table, options: options, isSpaceCrossed: isSpaceCrossed)
  }

  /// The token of both halves together; the right one without its prefix for continuations.
  ///
  /// Tokens are mostly numbered in the order of the merges: a look at the next id saves one into the table.
  private func mergedToken(
    _ start: Int, _ middle: Int, _ end: Int, _ prefixByteCount: Int, after lastMerged: Int32
  ) -> Int32? {
    if prefixByteCount > 0 {
      let joined = Array(merges.content[start..<middle] + merges.content[middle..<end].dropFirst(prefixByteCount))
      return vocabulary.identifier(of: joined, joined.indices)
    }
    for next in [lastMerged, lastMerged + 1]
    where vocabulary.isSpelling(of: Int(next), merges.content, start..<end) { return next }
    return vocabulary.identifier(of: merges.content, start..<end)
  }
}

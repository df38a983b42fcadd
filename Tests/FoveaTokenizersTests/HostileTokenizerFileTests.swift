import Foundation
import FoveaTokenizers
import Testing

@Suite struct HostileTokenizerFileTests {
  private func load(_ text: String) throws {
    _ = try Fixtures.withFolder(["tokenizer.json": Array(text.utf8)], loadTokenizer)
  }

  private func model(_ fields: String, _ others: String = "") -> String {
    #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]\#(fields)}\#(others)}"#
  }

  @Test func aSoundFileLoads() throws {
    #expect(throws: Never.self) { try load(model("")) }
  }

  @Test func faultsAreNamed() {
    let cases: [(TokenizerError.Kind, String, String)] = [
      (.malformedFile, "", "expected an object"),
      (.malformedFile, "{}", "model.vocab is missing"),
      (.malformedFile, #"{"model": 3}"#, "expected an object"),
      (.malformedFile, #"{"model": {"vocab": 3}}"#, "expected an object"),
      (.malformedFile, #"{"model": {"vocab": {"a": "b"}, "merges": []}}"#, "a non-negative integer"),
      (.malformedFile, #"{"model": {"vocab": {"a": -1}, "merges": []}}"#, "a non-negative integer"),
      (.malformedFile, #"{"model": {"vocab": {"a": 4294967296}, "merges": []}}"#, "4294967296"),
      (.malformedFile, #"{"model": {"vocab": {"a": 99999999999999999999}, "merges": []}}"#, "larger than"),
      (.malformedFile, #"{"model": {"vocab": {"a": 0, "a": 1}, "merges": []}}"#, "twice"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a c"]}}"#, "\"c\" is no token"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]}}"#, "\"aa\" is no token"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}"#, "expected two tokens"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]}}"#, "expected two tokens"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}}"#, "expected two tokens"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [[1, 2]]}}"#, "a string"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": {"a": 0}}}"#, "model.merges"),
      (.malformedFile, #"{"model": {"type": "BPE", "vocab": [["a", 0.5]]}}"#, "model.vocab"),
      (.malformedFile, #"{"model": {"type": "Unigram", "vocab": {"a": 0}}}"#, "model.vocab"),
      (.malformedFile, #"{"model": {"type": "Unigram", "vocab": [["a"]]}}"#, "a token and its score"),
      (.malformedFile, #"{"model": {"type": "Unigram", "vocab": [["a", 1e999]]}}"#, "a token and its score"),
      (.malformedFile, #"{"model": {"type": "Unigram", "unk_id": 1, "vocab": [["a", 0]]}}"#, "unk_id"),
      (.malformedFile, #"{"model": {"type": "WordPiece", "vocab": {"a": 0}}}"#, "unk_token"),
      (.unsupported, #"{"model": {"type": "Magic", "vocab": {}}}"#, "\"Magic\" is not known"),
      (.unsupported, model(#", "dropout": 0.1"#), "dropout"),
      (.unsupported, model(#", "new_option": true"#), "new_option"),
      (.malformedFile, model(#", "byte_fallback": 1"#), "byte_fallback"),
      (.malformedFile, model(#", "unk_token": 7"#), "unk_token"),
      (.unsupported, model("", #", "new_part": {}"#), "new_part"),
      (.malformedFile, model("", #", "normalizer": 3"#), "normalizer"),
      (.malformedFile, model("", #", "normalizer": {}"#), "normalizer.type"),
      (.unsupported, model("", #", "normalizer": {"type": "New"}"#), "\"New\""),
      (.malformedFile, model("", #", "normalizer": {"type": "Sequence", "normalizers": 1}"#), "normalizers"),
      (
        .malformedFile, model("", #", "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}"#),
        "charsmap"
      ),
      (.malformedFile, model("", #", "normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}"#), "base64"),
      (
        .malformedFile,
        model("", #", "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed"}"#), "\"(\""
      ),
      (
        .unsupported,
        model("", #", "pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"}"#), "Odd"
      ),
      (
        .malformedFile,
        model("", #", "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a&&b]"}, "behavior": "Removed"}"#),
        "intersection"
      ),
      (.malformedFile, model("", #", "pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}"#), "one character"),
      (.unsupported, model("", #", "decoder": {"type": "CTC"}"#), "CTC"),
      (.malformedFile, model("", #", "decoder": {"type": "Strip", "content": " ", "start": -1, "stop": 0}"#), "start"),
      (
        .malformedFile, model("", #", "post_processor": {"type": "BertProcessing", "sep": ["a", 9], "cls": ["a", 0]}"#),
        "post_processor"
      ),
      (
        .malformedFile,
        model("", #", "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}]}"#),
        "special_tokens"
      ),
      (.malformedFile, model("", #", "added_tokens": 1"#), "added_tokens"),
      (.malformedFile, model("", #", "added_tokens": [{"id": 0, "content": "x"}]"#), "another token"),
      (.malformedFile, model("", #", "added_tokens": [{"id": 9, "content": "a"}]"#), "which is token 0"),
      (.malformedFile, model("", #", "added_tokens": [{"id": 9, "content": ""}]"#), "is empty"),
      (.malformedFile, model("", #", "added_tokens": [{"id": 2000000000, "content": "x"}]"#), "larger than"),
      (
        .malformedFile, model("", #", "added_tokens": [{"id": 9, "content": "x"}, {"id": 9, "content": "y"}]"#),
        "two spellings"
      ),
    ]
    for (kind, text, part) in cases { TokenizerError.expect(kind, "tokenizer.json", part) { try load(text) } }
  }

  @Test func aHostilePatternEndsInAnError() throws {
    let text = model(
      "", #", "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a|aa)+[0-9]"}, "behavior": "Removed"}"#)
    let tokenizer = try Fixtures.withFolder(["tokenizer.json": Array(text.utf8)], loadTokenizer)
    TokenizerError.expect(.unencodableText, "limits") {
      _ = try tokenizer.encode(String(repeating: "a", count: 2000))
    }
  }

  @Test func cutAndChangedFilesNeverCrash() throws {
    var generator = SeededGenerator(state: 3)
    for name in ["gpt2", "byte-fallback", "bert", "unigram"] {
      let bytes = try JSONFixtures.bytes(name)
      for _ in 0..<60 {
        var changed = bytes
        if Bool.random(using: &generator) {
          changed.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
        } else {
          for _ in 0..<3 {
            changed[Int.random(in: 0..<min(2000, bytes.count), using: &generator)] = UInt8.random(
              in: 0x20..<0x7F, using: &generator)
          }
        }
        do {
          let tokenizer = try Fixtures.withFolder(["tokenizer.json": changed], loadTokenizer)
          _ = try tokenizer.decode(tokenizer.encode("the girl <s> 日本 [X]"))
        } catch is TokenizerError {
          continue
        }
      }
    }
  }
}

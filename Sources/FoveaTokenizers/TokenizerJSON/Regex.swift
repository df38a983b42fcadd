internal import CPCRE2

/// A compiled regular expression, which finds all its matches in UTF-8 bytes.
///
/// Unchecked: PCRE2 only reads a compiled pattern, and nothing here changes after `init`.
final class Regex: @unchecked Sendable {
  private let compiled: OpaquePointer

  /// Why a pattern could not be compiled or a search was given up.
  struct Failure: Error {
    let reason: String
  }

  /// Compiles a pattern in the syntax of Oniguruma, which `tokenizer.json` uses.
  init(onigurumaPattern: String) throws(Failure) {
    let pattern = try OnigurumaPattern(onigurumaPattern).translation()
    var message = [CChar](repeating: 0, count: 256)
    let compiled = pattern.withUnsafeBufferPointer { pattern in
      fovea_regex_create(pattern.baseAddress, pattern.count, &message, message.count)
    }
    guard let compiled else {
      throw Failure(reason: String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }
    self.compiled = compiled
  }

  deinit {
    fovea_regex_destroy(compiled)
  }

  /// Calls `body` with every match in each of `ranges` of `bytes`, which is valid UTF-8; `body` gets the index of the
  /// range and the match in it. A pattern sees no byte outside of the range that it searches.
  func forEachMatch(
    in bytes: [UInt8], ranges: [Range<Int>], _ body: (_ rangeIndex: Int, _ match: Range<Int>) -> Void
  ) throws(Failure) {
    guard let matcher = fovea_regex_matcher_create(compiled) else { throw Failure(reason: "out of memory") }
    defer { fovea_regex_matcher_destroy(matcher) }
    let code = bytes.withUnsafeBufferPointer { buffer -> CInt in
      for (index, range) in ranges.enumerated() {
        var found: UnsafePointer<Int>?
        var count = 0
        // An array without storage has no address; PCRE2 wants one even for no bytes.
        let slice = UnsafeBufferPointer(rebasing: buffer[range])
        let code =
          if let start = slice.baseAddress {
            fovea_regex_find_all(matcher, start, slice.count, &found, &count)
          } else {
            withUnsafePointer(to: UInt8(0)) { fovea_regex_find_all(matcher, $0, 0, &found, &count) }
          }
        guard code == 0 else { return code }
        guard let found else { continue }
        for match in 0..<count {
          body(index, range.lowerBound + found[2 * match]..<range.lowerBound + found[2 * match + 1])
        }
      }
      return 0
    }
    guard code == 0 else { throw Failure(reason: "a search exceeded its limits (PCRE2 error \(code))") }
  }
}

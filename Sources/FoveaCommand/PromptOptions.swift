import ArgumentParser
import Fovea

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where a prompt comes from.
struct PromptOptions: ParsableArguments {
  @Argument(help: "The text to continue; - for standard input.")
  var prompt: String?

  @Option(help: ArgumentHelp("Read the prompt from a file.", valueName: "path"))
  var file: String?

  @Option(help: ArgumentHelp("Token ids to continue, to which nothing is added.", valueName: "1,411"))
  var promptTokens: String?

  func validate() throws {
    guard [prompt, file, promptTokens].count(where: { $0 != nil }) == 1 else {
      throw ValidationError("give one prompt: a text, - for standard input, --file or --prompt-tokens")
    }
    if let promptTokens { _ = try PromptOptions.tokens(promptTokens) }
  }

  /// Reads the prompt. One line break at the end of a file or of standard input is dropped, since editors and `echo`
  /// put it there and a model would go on after it.
  ///
  /// - Throws: `CommandError` of category `missingInput` for an unreadable file, `badData` for invalid UTF-8.
  func read() throws -> Prompt {
    if let promptTokens { return .tokens(try PromptOptions.tokens(promptTokens)) }
    if let file {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw CommandError(.missingInput, "\(file): cannot be read")
      }
      return .text(try PromptOptions.text(Array(data), name: file))
    }
    if let prompt, prompt != "-" { return .text(prompt) }
    return .text(try PromptOptions.text(PromptOptions.standardInput(), name: "standard input"))
  }

  private static func tokens(_ list: String) throws -> [Int] {
    try list.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let token = Int(part.filter { $0 != " " }) else {
        throw ValidationError("--prompt-tokens: \"\(part)\" is no token id, expected ids such as 1,411")
      }
      return token
    }
  }

  /// Refuses invalid UTF-8: replacing it would continue another text than the one given, and nobody would notice.
  private static func text(_ bytes: [UInt8], name: String) throws -> String {
    let bytes = bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...]
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError(.badData, "\(name): byte \(validPrefixLength(bytes)) is not valid UTF-8")
    }
    return text
  }

  private static func validPrefixLength(_ bytes: ArraySlice<UInt8>) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var count = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { count += UTF8.width(scalar) }
    return count
  }

  private static func standardInput() throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = systemRead(STDIN_FILENO, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count > 0 {
        bytes += chunk.prefix(count)
      } else if errno != EINTR {
        throw CommandError(.missingInput, "standard input: \(String(cString: strerror(errno)))")
      }
    }
  }
}

/// The system's `read`, which the method hides.
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ byteCount: Int) -> Int {
  read(descriptor, bytes, byteCount)
}

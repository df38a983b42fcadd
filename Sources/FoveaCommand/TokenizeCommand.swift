import ArgumentParser
import Foundation
import Fovea

/// `fovea tokenize`: shows how a model's tokenizer splits a text.
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize", abstract: "Split text into tokens, or put tokens together to text.")

  @Argument(help: "The text; - for standard input.")
  var text: String?

  @Option(help: ArgumentHelp("Read the text from a file.", valueName: "path"))
  var file: String?

  @Option(help: ArgumentHelp("Print the text of these tokens.", valueName: "1,2,3"))
  var decode: String?

  @Flag(help: "Neither add special tokens nor read their spelling, such as </s>, as tokens.")
  var noSpecial = false

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: ArgumentHelp("Tokenize each line {\"text\": …} or {\"bytes\": […]} of the input.", visibility: .hidden))
  var jsonLines = false

  @OptionGroup var model: ModelOptions

  func validate() throws {
    let sourceCount = [text, file, decode].count { $0 != nil }
    guard sourceCount == 1 else {
      throw ValidationError("Give one of: a text, --file or --decode.")
    }
  }

  func run() throws {
    let tokenizer = try loadTokenizer(folder: model.resolvedFolder())
    if let decode {
      try printText(of: decode, tokenizer)
    } else if jsonLines {
      try tokenizeLines(try input(), tokenizer)
    } else {
      try printTokens(try encode(input(), tokenizer), tokenizer)
    }
  }

  /// The bytes of the text, which need not be valid UTF-8.
  private func input() throws -> [UInt8] {
    if let file {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw TokenizerError(.missingFile, file: file, "cannot be read")
      }
      return Array(data)
    }
    guard let text, text != "-" else { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
    return Array(text.utf8)
  }

  private func encode(_ bytes: [UInt8], _ tokenizer: any Tokenizer) throws -> [Int] {
    try tokenizer.encode(bytes: bytes, addSpecialTokens: !noSpecial, parseSpecialTokens: !noSpecial)
  }

  private func printTokens(_ tokens: [Int], _ tokenizer: any Tokenizer) throws {
    let pieces = tokens.map { tokenizer.piece(of: $0) ?? "" }
    if json {
      print(try jsonText(Tokens(ids: tokens, pieces: pieces)))
    } else {
      var text = ""
      for (token, piece) in zip(tokens, pieces) {
        let number = String(token)
        text += String(repeating: " ", count: max(0, 8 - number.count)) + number + "  "
        // Quoted, so that spaces and control characters can be seen.
        text += piece.debugDescription + "\n"
      }
      try StandardStream.output.write(text)
    }
  }

  private func printText(of list: String, _ tokenizer: any Tokenizer) throws {
    let tokens = try list.split(separator: ",").map { part in
      guard let token = Int(part.filter { $0 != " " }) else {
        throw ValidationError("--decode: \"\(part)\" is no token id.")
      }
      return token
    }
    let text = try tokenizer.decode(tokens, skipSpecialTokens: !noSpecial)
    print(json ? try jsonText(["text": text]) : text)
  }

  private func tokenizeLines(_ bytes: [UInt8], _ tokenizer: any Tokenizer) throws {
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let request = try JSONDecoder().decode(Request.self, from: Data(line))
      let tokens = try encode(request.bytes ?? Array((request.text ?? "").utf8), tokenizer)
      print(try jsonText(Response(ids: tokens, text: tokenizer.decode(tokens))))
    }
  }

  private func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

/// What `--json` prints.
private struct Tokens: Encodable {
  let ids: [Int]
  let pieces: [String]
}

/// One line of `--json-lines`.
private struct Request: Decodable {
  let text: String?
  let bytes: [UInt8]?
}

/// The answer to one line: the tokens and what they decode to.
private struct Response: Encodable {
  let ids: [Int]
  let text: String
}

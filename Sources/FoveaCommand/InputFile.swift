import Fovea

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A file given on the command line, or standard input for `-`.
struct InputFile {
  /// How errors name it.
  let name: String
  /// What it holds.
  let bytes: [UInt8]

  /// Reads all of it.
  ///
  /// - Throws: `CommandError` of category `missingInput`.
  init(_ path: String) throws {
    guard path != "-" else {
      name = "standard input"
      bytes = try InputFile.standardInput()
      return
    }
    name = path
    do {
      bytes = try readFile(path, byteCountLimit: .max)
    } catch {
      throw CommandError(.missingInput, "\(path): \(error.reason)")
    }
  }

  /// The bytes as text.
  ///
  /// - Throws: `CommandError` of category `badData`: replacing invalid bytes would make another text of it.
  func text() throws -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError(.badData, "\(name): is not valid UTF-8")
    }
    return text
  }

  /// The objects of JSON lines, with the numbers of their lines from 1 on; blank lines are left out.
  ///
  /// - Throws: `CommandError` of category `badData` that names the line.
  func jsonLines() throws -> [(number: Int, members: [String: JSONValue])] {
    var lines: [(number: Int, members: [String: JSONValue])] = []
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }) {
        continue
      }
      do {
        guard case .object(let members) = try JSONValue(parsing: Array(line)) else {
          throw JSONError("expected an object", byteOffset: 0)
        }
        lines.append((index + 1, members))
      } catch let error as JSONError {
        throw CommandError(.badData, "\(name): line \(index + 1): \(error.message)")
      }
    }
    return lines
  }

  /// Token ids, separated by white space or commas, in brackets or not.
  ///
  /// - Throws: `CommandError` of category `badData` that names what is no id.
  func tokens() throws -> [Int] {
    let separators = Set(" \t\r\n,[]".utf8)
    return try bytes.split(whereSeparator: separators.contains).map { part in
      let word = String(decoding: part, as: UTF8.self)
      guard let token = Int(word) else {
        throw CommandError(.badData, "\(name): \"\(printable(word))\" is no token id")
      }
      return token
    }
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

/// The system's `read`, under a name that nothing hides.
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ byteCount: Int) -> Int {
  read(descriptor, bytes, byteCount)
}

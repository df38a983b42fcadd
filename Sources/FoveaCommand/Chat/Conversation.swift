import Fovea
import FoveaCore
import FoveaSafetensors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A conversation in a file: a JSON array of objects with `role` and `content`, as chat templates take it.
enum Conversation {
  private static let byteCountLimit = 64 << 20

  private struct Message: Decodable {
    let role: String
    let content: String
  }

  static func read(_ path: String) throws -> [ChatMessage] {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: byteCountLimit)
    } catch {
      throw CommandError(.missingInput, "\(path): \(error.reason)")
    }
    do {
      return try JSONDecoder().decode([Message].self, from: Data(bytes)).map {
        ChatMessage(role: $0.role, content: $0.content)
      }
    } catch {
      throw CommandError(
        .badData, "\(path): is no conversation, expected a JSON array of objects with role and content")
    }
  }

  /// The file is the old one or the new one, whole.
  static func write(_ messages: [ChatMessage], to path: String) throws {
    let rows = messages.map { "  {\"role\": \(jsonQuoted($0.role)), \"content\": \(jsonQuoted($0.content))}" }
    let text = "[\n" + rows.joined(separator: ",\n") + "\n]\n"
    try ReplacementFile.write(text, to: path)
  }
}

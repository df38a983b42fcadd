import ArgumentParser
import Fovea

/// How vectors are written.
enum EmbedFormat: String, CaseIterable, ExpressibleByArgument {
  /// An object a line.
  case jsonl
  /// A NumPy matrix.
  case npy
  /// A line of base64 of little-endian float32 values a text.
  case base64

  /// What precedes the vectors.
  func header(textCount: Int, dimensions: Int) -> [UInt8] {
    self == .npy ? NumPyFile.header(rowCount: textCount, columnCount: dimensions) : []
  }

  /// The vectors of texts of which `first` is the first one's number.
  /// - Parameter tokens: the token ids of each text, if they are written too.
  func bytes(_ embeddings: [Embedding], first: Int, ids: ArraySlice<String?>, tokens: [[Int]]?) -> [UInt8] {
    switch self {
    case .npy: return embeddings.flatMap { NumPyFile.bytes(of: $0.values) }
    case .base64: return embeddings.flatMap { base64Text(NumPyFile.bytes(of: $0.values)) + [UInt8(ascii: "\n")] }
    case .jsonl:
      var text = ""
      for (offset, (embedding, id)) in zip(embeddings, ids).enumerated() {
        text += "{\"index\":\(first + offset),"
        if let id { text += "\"id\":\(jsonString(id))," }
        text += "\"tokens\":\(embedding.tokenCount),"
        if embedding.isTruncated { text += "\"truncated_tokens\":\(embedding.truncatedTokenCount)," }
        if let tokens { text += "\"token_ids\":[\(tokens[offset].map(String.init).joined(separator: ","))]," }
        let values = embedding.values.map { $0.isFinite ? $0.description : "null" }
        text += "\"embedding\":[\(values.joined(separator: ","))]}\n"
      }
      return Array(text.utf8)
    }
  }
}

/// RFC 4648 with padding.
private func base64Text(_ bytes: [UInt8]) -> [UInt8] {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var result: [UInt8] = []
  result.reserveCapacity((bytes.count + 2) / 3 * 4)
  for first in stride(from: 0, to: bytes.count, by: 3) {
    let count = min(3, bytes.count - first)
    var group = 0
    for offset in 0..<3 { group = group << 8 | (offset < count ? Int(bytes[first + offset]) : 0) }
    for place in 0..<4 {
      result.append(place <= count ? alphabet[group >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
    }
  }
  return result
}

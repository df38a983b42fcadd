internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A file with one line for each scored token: document, position in it, token id, and negative log-likelihood in nats,
/// separated by tabs under a line of these names.
///
/// It grows as tokens are scored. A run that goes on after an interruption cuts it to what its state accounts for.
public final class PerTokenFile {
  /// The first line.
  static let header = "document\tposition\ttoken\tloss\n"

  /// More tokens than any document has: sums of positions stay integers.
  static let tokenCountLimit = 1 << 32

  /// How many bytes the file has.
  public private(set) var byteCount: Int
  private let path: String
  private let descriptor: CInt

  /// Opens `path` anew, or to go on after its first `byteCount` bytes.
  ///
  /// - Throws: ``EvaluationError`` if the file cannot be written, or is shorter than `byteCount`.
  public init(_ path: String, continuingAfter byteCount: Int? = nil) throws(EvaluationError) {
    self.path = path
    self.byteCount = byteCount ?? 0
    let flags = byteCount == nil ? O_CREAT | O_TRUNC : 0
    descriptor = open(path, O_WRONLY | O_CLOEXEC | flags, 0o666)
    guard descriptor >= 0 else {
      throw EvaluationError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
    }
    if let byteCount {
      let end = lseek(descriptor, 0, SEEK_END)
      guard end >= byteCount else {
        throw EvaluationError(
          .foreignFile, file: path, "has \(end) bytes, but the state was saved when it had \(byteCount)")
      }
      guard ftruncate(descriptor, off_t(byteCount)) == 0, lseek(descriptor, off_t(byteCount), SEEK_SET) >= 0 else {
        throw EvaluationError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
      }
    } else {
      try append(Self.header)
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Adds the lines of a window.
  public func append(_ window: EvaluationWindow, tokens: [Int], losses: [Double]) throws(EvaluationError) {
    var lines = ""
    for (offset, loss) in losses.enumerated() {
      let position = window.scored.lowerBound + offset
      lines += "\(window.document)\t\(position)\t\(tokens[tokens.count - losses.count + offset])\t\(loss)\n"
    }
    try append(lines)
  }

  /// Brings what was added to the disk, before a state that accounts for it is saved.
  public func synchronize() throws(EvaluationError) {
    // A pipe or terminal has nothing to bring to a disk.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw EvaluationError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
    }
  }

  /// The lines of a file that was read; one that an interruption cut off at the end is left out.
  ///
  /// - Throws: ``EvaluationError`` that names the line which is not as it should be.
  static func rows(
    _ bytes: [UInt8], file path: String
  ) throws(EvaluationError) -> [(document: Int, position: Int, loss: Double)] {
    guard bytes.starts(with: header.utf8) else {
      throw EvaluationError(.malformedFile, file: path, "is no file of single tokens: its first line is another one")
    }
    var rows: [(document: Int, position: Int, loss: Double)] = []
    var rest = bytes.dropFirst(header.utf8.count)
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let fields = rest[..<end].split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
      guard fields.count == 4, let document = Int(String(decoding: fields[0], as: UTF8.self)),
        let position = Int(String(decoding: fields[1], as: UTF8.self)), (0..<tokenCountLimit).contains(position),
        let loss = Double(String(decoding: fields[3], as: UTF8.self))
      else {
        throw EvaluationError(
          .malformedFile, file: path, "line \(rows.count + 2) is no document, position, token, loss")
      }
      rows.append((document, position, loss))
      rest = rest[(end + 1)...]
    }
    return rows
  }

  private func append(_ text: String) throws(EvaluationError) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      // The pointer is used during the call only.
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw EvaluationError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
      }
      bytes = bytes.dropFirst(count)
      byteCount += count
    }
  }
}

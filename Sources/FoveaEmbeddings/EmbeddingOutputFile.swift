internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A file of vectors that grows as they are made, under its name with `.partial` until it is whole.
///
/// A job that goes on after an interruption cuts it to what its state accounts for.
public final class EmbeddingOutputFile {
  /// How many bytes the file has.
  public private(set) var byteCount: Int
  private let path: String
  private let partialPath: String
  private let descriptor: CInt

  /// Opens the file anew, or to go on after its first `byteCount` bytes.
  ///
  /// - Throws: ``EmbeddingError`` if the file cannot be written, or is shorter than `byteCount`.
  public init(_ path: String, continuingAfter byteCount: Int = 0) throws(EmbeddingError) {
    guard !path.utf8.contains(0) else {
      throw EmbeddingError(.unwritableFile, file: path, "cannot be written: the path holds a NUL byte")
    }
    self.path = path
    self.byteCount = byteCount
    partialPath = path + ".partial"
    descriptor = open(partialPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw EmbeddingError(.unwritableFile, file: partialPath, "cannot be written: \(systemErrorText(errno))")
    }
    let end = lseek(descriptor, 0, SEEK_END)
    guard end >= byteCount else {
      throw EmbeddingError(
        .foreignFile, file: partialPath, "has \(end) bytes, but the state was saved when it had \(byteCount)")
    }
    guard ftruncate(descriptor, off_t(byteCount)) == 0, lseek(descriptor, off_t(byteCount), SEEK_SET) >= 0 else {
      throw EmbeddingError(.unwritableFile, file: partialPath, "cannot be written: \(systemErrorText(errno))")
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Adds bytes.
  public func append(_ bytes: [UInt8]) throws(EmbeddingError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // The pointer is used during the call only.
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw EmbeddingError(.unwritableFile, file: partialPath, "cannot be written: \(systemErrorText(errno))")
      }
      rest = rest.dropFirst(count)
      byteCount += count
    }
  }

  /// Brings what was added to the disk, before a state that accounts for it is saved.
  public func synchronize() throws(EmbeddingError) {
    // Some file systems have nothing to bring to a disk.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw EmbeddingError(.unwritableFile, file: partialPath, "cannot be written: \(systemErrorText(errno))")
    }
  }

  /// Gives the file its name.
  public func finish() throws(EmbeddingError) {
    try synchronize()
    guard rename(partialPath, path) == 0 else {
      throw EmbeddingError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
    }
  }

  /// Removes what was written.
  public func discard() { unlink(partialPath) }
}

internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A file that appears under its name only when it is whole.
package struct ReplacementFile: ~Copyable {
  private let path: String
  private let temporaryPath: String
  private let overwriting: Bool
  private var descriptor: CInt

  /// Creates a file of another name beside `path`.
  package init(_ path: String, overwriting: Bool) throws(SafetensorsError) {
    guard !path.utf8.contains(0) else {
      throw SafetensorsError(.unwritableFile, file: path, "cannot be written: the path holds a NUL byte")
    }
    var status = stat()
    if lstat(path, &status) == 0 {
      guard overwriting else { throw SafetensorsError(.fileExists, file: path, "exists already") }
      guard status.st_mode & S_IFMT != S_IFDIR else {
        throw SafetensorsError(.unwritableFile, file: path, "cannot be written: it is a folder")
      }
    }
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { path[...$0] } ?? ""
    // A fixed part of the name suffices to tell what it was; 64 random bits make a clash with another writer unlikely,
    // and O_EXCL makes it an error.
    let temporaryPath = "\(folder).fovea-\(String(UInt64.random(in: .min ... .max), radix: 36)).partial"
    let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw SafetensorsError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
    }
    self.path = path
    self.temporaryPath = temporaryPath
    self.overwriting = overwriting
    self.descriptor = descriptor
  }

  /// Writes `text` to `path`, replacing what is there at once: whoever reads it finds the old text or the new one.
  package static func write(_ text: String, to path: String) throws(SafetensorsError) {
    var file = try ReplacementFile(path, overwriting: true)
    do throws(SafetensorsError) {
      let bytes = Array(text.utf8)
      // The bytes are used during the call only.
      let result = bytes.withUnsafeBytes { buffer in
        Result { () throws(SafetensorsError) in try file.write(buffer) }
      }
      try result.get()
      try file.finish()
    } catch {
      file.discard()
      throw error
    }
  }

  /// Appends `bytes`.
  package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(SafetensorsError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // The slice's memory is the caller's and holds `rest.count` bytes.
      #if canImport(Darwin)
      let count = Darwin.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, min(rest.count, 1 << 30))
      #elseif canImport(Musl)
      let count = Musl.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, min(rest.count, 1 << 30))
      #else
      let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, min(rest.count, 1 << 30))
      #endif
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure() }
      rest = rest.dropFirst(count)
    }
  }

  /// Brings the bytes to the disk, then gives the file its name.
  package mutating func finish() throws(SafetensorsError) {
    guard fsync(descriptor) == 0 else { throw failure() }
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw failure() }
    if overwriting {
      guard rename(temporaryPath, path) == 0 else { throw failure() }
    } else {
      try moveWithoutReplacing()
    }
    syncFolder()
  }

  /// Gives up: removes what was written.
  package mutating func discard() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    unlink(temporaryPath)
  }

  /// A link fails where the name is taken, which a rename does not; so a file that came in between is kept.
  private func moveWithoutReplacing() throws(SafetensorsError) {
    if link(temporaryPath, path) == 0 {
      unlink(temporaryPath)
      return
    }
    guard errno != EEXIST else { throw SafetensorsError(.fileExists, file: path, "exists already") }
    // Some file systems have no links.
    guard rename(temporaryPath, path) == 0 else { throw failure() }
  }

  /// The new name itself is lost in a power cut unless the folder is synced; some file systems cannot, and the file is
  /// whole either way, so a failure is no error.
  private func syncFolder() {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let folderDescriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard folderDescriptor >= 0 else { return }
    fsync(folderDescriptor)
    close(folderDescriptor)
  }

  private func failure() -> SafetensorsError {
    SafetensorsError(.unwritableFile, file: path, "cannot be written: \(systemErrorText(errno))")
  }
}

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The largest tokenizer file that is read: the largest in use have about 20 MB.
private let byteCountLimit = 256 << 20

/// The bytes of a tokenizer's file, or nil where it does not exist.
///
/// - Throws: `missingFile` with the system's reason where it exists but cannot be read.
func readTokenizerFile(_ path: String) throws(TokenizerError) -> [UInt8]? {
  // A pipe in the place of a file must not block the open.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else {
    if errno == ENOENT { return nil }
    throw TokenizerError(.missingFile, file: path, "cannot be opened: \(systemErrorText(errno))")
  }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    throw TokenizerError(.missingFile, file: path, "cannot be read: \(systemErrorText(errno))")
  }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw TokenizerError(.missingFile, file: path, "is not a regular file")
  }
  guard status.st_size <= byteCountLimit else {
    throw TokenizerError(
      .malformedFile, file: path, "has \(status.st_size) bytes, more than the limit of \(byteCountLimit)")
  }
  let byteCount = Int(status.st_size)
  var failure: CInt = 0
  let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, filledCount in
    while filledCount < byteCount {
      // In bounds: `filledCount` bytes of the buffer's `byteCount` are taken.
      let readCount = read(descriptor, buffer.baseAddress.map { $0 + filledCount }, byteCount - filledCount)
      if readCount < 0 {
        if errno == EINTR { continue }
        failure = errno
      }
      guard readCount > 0 else { return }
      filledCount += readCount
    }
  }
  guard failure == 0 else {
    throw TokenizerError(.missingFile, file: path, "cannot be read: \(systemErrorText(failure))")
  }
  return bytes
}

/// Whether `path` names a folder, or the error that says why not.
func requireFolder(_ path: String) throws(TokenizerError) {
  var status = stat()
  guard stat(path, &status) == 0 else {
    throw TokenizerError(.missingFile, file: path, "cannot be read: \(systemErrorText(errno))")
  }
  guard status.st_mode & S_IFMT == S_IFDIR else {
    throw TokenizerError(.missingFile, file: path, "is not a folder")
  }
}

private func systemErrorText(_ code: CInt) -> String {
  String(cString: strerror(code))
}

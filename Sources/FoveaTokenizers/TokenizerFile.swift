internal import FoveaCore

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
  do throws(FileReadingError) {
    return try readFile(path, byteCountLimit: byteCountLimit)
  } catch {
    if error.isMissing { return nil }
    throw TokenizerError(.missingFile, file: path, error.reason)
  }
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

internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Maps a file read-only; pages come in as they are read.
///
/// A file that another process truncates while it is mapped makes reads of the lost pages fault: replace files by
/// renaming, as the writer of this module does.
func mapFile(_ path: String) throws(SafetensorsError) -> TensorStorage {
  func unreadable() -> SafetensorsError {
    SafetensorsError(kind: .unreadable, path: path, message: String(cString: strerror(errno)))
  }
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw unreadable() }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw unreadable() }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw SafetensorsError(kind: .unreadable, path: path, message: "not a regular file")
  }
  let byteCount = Int(status.st_size)
  // An empty file cannot be mapped; it has no header either.
  guard byteCount > 0 else { return TensorStorage(byteCount: 0) }
  guard let address = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
    throw unreadable()
  }
  return TensorStorage(borrowing: address, byteCount: byteCount, isReadOnly: true) { address, byteCount in
    munmap(address, byteCount)
  }
}

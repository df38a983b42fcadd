#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Why a file could not be read, for the error of the module that wanted it.
package struct FileReadingError: Error, Sendable {
  /// Whether there is no such file, rather than one that cannot be read.
  package let isMissing: Bool
  /// What is wrong, without the file's name.
  package let reason: String
}

/// A regular file open for reading; closed at the end of its life.
package struct ReadableFile: ~Copyable {
  private let descriptor: CInt
  /// The file's length when it was opened.
  package let byteCount: Int

  /// Opens `path`, which must be a regular file or a link to one.
  package init(_ path: String) throws(FileReadingError) {
    // A NUL would cut the path short and open another file.
    guard !path.utf8.contains(0) else { throw FileReadingError(isMissing: false, reason: "the path holds a NUL byte") }
    // A pipe in the place of a file must not block the open.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw FileReadingError(isMissing: code == ENOENT, reason: "cannot be opened: \(systemErrorText(code))")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw FileReadingError(isMissing: false, reason: "cannot be read: \(systemErrorText(code))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      throw FileReadingError(isMissing: false, reason: isFolder ? "is a folder, not a file" : "is not a regular file")
    }
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit {
    close(descriptor)
  }

  /// The first `count` bytes; fewer if the file is shorter by now.
  package func prefix(_ count: Int) throws(FileReadingError) -> [UInt8] {
    // An array of capacity 0 is the one that all empty arrays share: the initializer below would write to it.
    guard count > 0 else { return [] }
    var failure: CInt = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filledCount in
      while filledCount < count {
        // In bounds: `filledCount` bytes of the buffer's `count` are taken.
        let readCount = pread(
          descriptor, buffer.baseAddress.map { $0 + filledCount }, count - filledCount, off_t(filledCount))
        if readCount < 0 {
          if errno == EINTR { continue }
          failure = errno
        }
        guard readCount > 0 else { return }
        filledCount += readCount
      }
    }
    guard failure == 0 else {
      throw FileReadingError(isMissing: false, reason: "cannot be read: \(systemErrorText(failure))")
    }
    return bytes
  }

  /// The whole file, mapped read-only and unmapped when the storage is released.
  ///
  /// The pages are shared with the file: if another process shortens it, reading past its new end kills this process
  /// (SIGBUS), which cannot be prevented here. Replacing the file by renaming another over it is safe.
  package func map() throws(FileReadingError) -> TensorStorage {
    guard byteCount > 0 else { return TensorStorage(byteCount: 0) }
    guard let address = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw FileReadingError(isMissing: false, reason: "cannot be mapped: \(systemErrorText(errno))")
    }
    return TensorStorage(mappedFile: address, byteCount: byteCount)
  }
}

/// The bytes of the file at `path`, which may have at most `byteCountLimit`.
package func readFile(_ path: String, byteCountLimit: Int) throws(FileReadingError) -> [UInt8] {
  let file = try ReadableFile(path)
  guard file.byteCount <= byteCountLimit else {
    throw FileReadingError(
      isMissing: false, reason: "has \(file.byteCount) bytes, more than the limit of \(byteCountLimit)")
  }
  return try file.prefix(file.byteCount)
}

/// The system's words for an error code.
package func systemErrorText(_ code: CInt) -> String {
  String(cString: strerror(code))
}

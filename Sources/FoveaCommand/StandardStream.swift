import Fovea

/// Whoever reads standard output has closed it.
struct ClosedPipe: Error {}

/// Standard output or error without a buffer, so that text is seen as it is made.
struct StandardStream: Sendable {
  static let output = StandardStream(descriptor: STDOUT_FILENO)
  static let error = StandardStream(descriptor: STDERR_FILENO)

  let descriptor: Int32

  /// Whether a person may be looking.
  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Makes writing to a closed pipe an error that can be caught instead of the end of the process.
  static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// Writes all of `text`.
  ///
  /// - Throws: `ClosedPipe`, or an internal `CommandError` with the system's reason, as for a full disk.
  func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let slice = UnsafeBufferPointer(rebasing: rest)
        // `slice` lies within `bytes`, which are valid in this closure.
        let count = systemWrite(descriptor, slice)
        if count >= 0 {
          rest = rest.dropFirst(count)
        } else if errno == EPIPE {
          throw ClosedPipe()
        } else if errno != EINTR {
          throw CommandError(.internalFault, "cannot write: \(String(cString: strerror(errno)))")
        }
      }
    }
  }

  /// Writes what may as well be lost: help and errors, after which the process ends.
  func writeIgnoringFailure(_ text: String) {
    do { try write(text) } catch {}
  }
}

/// The system's `write`, which the method hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeBufferPointer<UInt8>) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

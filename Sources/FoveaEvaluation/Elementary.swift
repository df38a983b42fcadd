#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The C library's `exp`, for the files that need nothing else of it.
func exponential(_ value: Double) -> Double { exp(value) }

/// Removes a file that may be there and is no longer of use.
func removeFile(_ path: String) { unlink(path) }

extension Double {
  /// The C library's `log`.
  var naturalLogarithm: Double { log(self) }
}

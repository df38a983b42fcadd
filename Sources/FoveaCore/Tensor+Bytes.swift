#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Whether two runs of `byteCount` bytes are equal.
package func hasSameBytes(_ first: UnsafeRawPointer, _ second: UnsafeRawPointer, byteCount: Int) -> Bool {
  memcmp(first, second, byteCount) == 0
}

extension Tensor {
  /// Whether another tensor has the same type, shape and bytes. Of views with gaps only a view of itself has.
  package func hasSameBytes(as other: Tensor) -> Bool {
    guard elementType == other.elementType, shape == other.shape else { return false }
    if baseAddress == other.baseAddress, strides == other.strides { return true }
    guard isContiguous, other.isContiguous else { return false }
    return withExtendedLifetime((self, other)) {
      FoveaCore.hasSameBytes(baseAddress, other.baseAddress, byteCount: byteCount)
    }
  }

  /// Gives back the memory of a contiguous tensor in a mapped file, which nobody is about to read; see
  /// ``TensorStorage/releasePages(_:)``.
  package func releasePages() { storage.releasePages(byteOffset..<byteOffset + byteCount) }
}

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension Tensor {
  /// Whether another tensor has the same type, shape and bytes. Of views with gaps only a view of itself has.
  package func hasSameBytes(as other: Tensor) -> Bool {
    guard elementType == other.elementType, shape == other.shape else { return false }
    if baseAddress == other.baseAddress, strides == other.strides { return true }
    guard isContiguous, other.isContiguous else { return false }
    return withExtendedLifetime((self, other)) { memcmp(baseAddress, other.baseAddress, byteCount) == 0 }
  }

  /// Gives back the memory of a contiguous tensor in a mapped file, which nobody is about to read; see
  /// ``TensorStorage/releasePages(_:)``.
  package func releasePages() { storage.releasePages(byteOffset..<byteOffset + byteCount) }
}

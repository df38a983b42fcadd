#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A run of bytes that tensors share: allocated here, or lent by a mapped file or another library.
///
/// Reading from several threads is safe. Whoever writes must hold the only reference that is being read or written
/// at the time; the type cannot check it, hence `@unchecked Sendable` without a lock.
public final class TensorStorage: @unchecked Sendable {
  /// The first byte. Valid for `byteCount` bytes as long as this object lives.
  public let baseAddress: UnsafeMutableRawPointer
  /// The length in bytes.
  public let byteCount: Int
  /// Whether writing would fault, as in a read-only mapping.
  public let isReadOnly: Bool
  private let release: (@Sendable (UnsafeMutableRawPointer, Int) -> Void)?
  /// Whether the bytes are those of a file, and come back from it when their pages were given back.
  private let isMappedFile: Bool

  /// Alignment of storage allocated here: one cache line, so that vector loads of a row start do not split.
  public static let alignmentByteCount = 64

  /// Storage from this size on lies on huge pages where the system has them: fewer page faults while it is first
  /// written, and fewer misses of the translation buffer while it is read.
  private static let hugePageByteCount = 2 << 20

  /// Allocates `byteCount` bytes set to zero.
  public convenience init(byteCount: Int) {
    self.init(uninitializedByteCount: byteCount)
    baseAddress.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
  }

  /// Allocates `byteCount` bytes with whatever they hold: for results of which every element is written.
  package init(uninitializedByteCount byteCount: Int) {
    precondition(byteCount >= 0, "a storage cannot have \(byteCount) bytes")
    let isLarge = byteCount >= 2 * Self.hugePageByteCount
    baseAddress = UnsafeMutableRawPointer.allocate(
      byteCount: Swift.max(byteCount, 1), alignment: isLarge ? Self.hugePageByteCount : Self.alignmentByteCount)
    #if os(Linux)
    // A refusal costs speed only.
    if isLarge { madvise(baseAddress, byteCount, MADV_HUGEPAGE) }
    #endif
    self.byteCount = byteCount
    isReadOnly = false
    release = nil
    isMappedFile = false
  }

  /// Borrows memory that stays valid until `release` is called with its address and length.
  public init(
    borrowing address: UnsafeMutableRawPointer, byteCount: Int, isReadOnly: Bool,
    release: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
  ) {
    baseAddress = address
    self.byteCount = byteCount
    self.isReadOnly = isReadOnly
    self.release = release
    isMappedFile = false
  }

  /// Takes over a private, read-only mapping of a file, and unmaps it at the end.
  package init(mappedFile address: UnsafeMutableRawPointer, byteCount: Int) {
    baseAddress = address
    self.byteCount = byteCount
    isReadOnly = true
    release = { munmap($0, $1) }
    isMappedFile = true
  }

  /// Gives back the memory of some bytes of a mapped file that nobody is about to read; whoever does gets them from the
  /// file again. Of other storage it does nothing.
  package func releasePages(_ bytes: Range<Int>) {
    guard isMappedFile else { return }
    let pageByteCount = Int(sysconf(CInt(_SC_PAGESIZE)))
    // A page at the end may belong to others too: it stays.
    let first = (bytes.lowerBound + pageByteCount - 1) / pageByteCount * pageByteCount
    let end = bytes.upperBound / pageByteCount * pageByteCount
    guard first < end else { return }
    // A refusal costs memory only.
    madvise(baseAddress + first, end - first, MADV_DONTNEED)
  }

  deinit {
    if let release {
      release(baseAddress, byteCount)
    } else {
      baseAddress.deallocate()
    }
  }
}

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// How much memory of which kind this machine has.
package enum MachineMemory {
  /// The memory itself, in bytes.
  package static func byteCount() -> Int { Int(sysconf(CInt(_SC_PHYS_PAGES))) * Int(sysconf(CInt(_SC_PAGESIZE))) }

  /// The cache before it, in bytes, as far as a process can count on it; what many processors have where the system does
  /// not say.
  package static let lastCacheByteCount = min(systemLastCacheByteCount() ?? 32 << 20, mostCacheByteCount)

  /// Larger caches serve many processors: of 260 MiB two hardware threads of an Intel Xeon got about 100, beyond which
  /// arrays were read at the memory's pace.
  private static let mostCacheByteCount = 96 << 20

  /// A core's second-level cache, in bytes; nil where the system does not say.
  package static let secondLevelCacheByteCount = caches.filter { $0.level == 2 }.map(\.byteCount).max()

  private static func systemLastCacheByteCount() -> Int? {
    #if canImport(Darwin)
    var byteCount = 0
    var length = MemoryLayout<Int>.size
    let isKnown = sysctlbyname("hw.l3cachesize", &byteCount, &length, nil, 0) == 0 && byteCount > 0
    return isKnown ? byteCount : nil
    #else
    return caches.map(\.byteCount).max()
    #endif
  }

  /// The first processor's caches; none where the system has no folder for each, as Linux has.
  private static let caches: [(level: Int, byteCount: Int)] = (0..<8).compactMap { index in
    let folder = "/sys/devices/system/cpu/cpu0/cache/index\(index)"
    guard let level = systemFileText(folder + "/level")?.first?.wholeNumberValue,
      let size = systemFileText(folder + "/size").flatMap(byteCount(of:))
    else { return nil }
    return (level, size)
  }

  /// The bytes of a size as Linux writes it: "32768K" and a line feed.
  package static func byteCount(of text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits), number > 0 else { return nil }
    let shift: Int
    switch text.dropFirst(digits.count).first {
    case "K": shift = 10
    case "M": shift = 20
    case "\n", nil: shift = 0
    default: return nil
    }
    let byteCount = number.multipliedReportingOverflow(by: 1 << shift)
    return byteCount.overflow ? nil : byteCount.partialValue
  }
}

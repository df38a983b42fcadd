#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The processor's name as the system knows it.
func processorName() -> String {
  #if os(Linux)
  // Arm kernels give no name there.
  let lines = FileManager.default.contents(atPath: "/proc/cpuinfo").map { String(decoding: $0, as: UTF8.self) } ?? ""
  let line = lines.split(separator: "\n").first { $0.hasPrefix("model name") }
  let value = line?.split(separator: ":", maxSplits: 1).last ?? "unknown processor"
  return String(value.drop { $0 == " " })
  #else
  var byteCount = 0
  guard sysctlbyname("machdep.cpu.brand_string", nil, &byteCount, nil, 0) == 0 else { return "unknown processor" }
  var bytes = [UInt8](repeating: 0, count: byteCount)
  guard sysctlbyname("machdep.cpu.brand_string", &bytes, &byteCount, nil, 0) == 0 else { return "unknown processor" }
  return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  #endif
}

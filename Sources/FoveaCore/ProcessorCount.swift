#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// How many processors this process may use.
package enum ProcessorCount {
  /// The cores that the affinity mask allows, cut to the control group's CPU quota (rounded up), at least 1.
  package static func usable() -> Int {
    let cores = affinityCount(status: systemFileText("/proc/self/status")) ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let quota = controlGroupQuota(root: "/sys/fs/cgroup", membership: systemFileText("/proc/self/cgroup"))
    return max(1, min(cores, quota ?? cores))
  }

  /// The number of processors in the affinity mask that /proc/self/status shows (hexadecimal words with commas), where
  /// the system has it: `sched_getaffinity` is a GNU extension that Swift does not see.
  package static func affinityCount(status: String?) -> Int? {
    let line = status?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }
    guard let line else { return nil }
    let count = line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount }
    return count > 0 ? count : nil
  }

  /// The smallest quota, in whole CPUs, on the way from the process's control group up to the root; nil without one.
  ///
  /// `membership` is the text of /proc/self/cgroup. Version 2 groups have `cpu.max` ("quota period" or "max period"),
  /// version 1 groups `cpu.cfs_quota_us` (-1 for none) and `cpu.cfs_period_us`.
  package static func controlGroupQuota(root: String, membership: String?) -> Int? {
    var quotas: [Int] = []
    for line in (membership ?? "0::/").split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let controllers = fields[1].split(separator: ",")
      let isVersion2 = fields[0] == "0" && controllers.isEmpty
      guard isVersion2 || controllers.contains("cpu") else { continue }
      var path = fields[2].split(separator: "/").map(String.init)
      while true {
        let folder = ([root] + (isVersion2 ? [] : [String(fields[1])]) + path).joined(separator: "/")
        if let quota = isVersion2 ? version2Quota(folder) : version1Quota(folder) { quotas.append(quota) }
        if path.isEmpty { break }
        path.removeLast()
      }
    }
    return quotas.min()
  }

  private static func version2Quota(_ folder: String) -> Int? {
    guard let text = systemFileText(folder + "/cpu.max") else { return nil }
    let fields = text.split(whereSeparator: \.isWhitespace)
    guard fields.count == 2, let quota = Int(fields[0]), let period = Int(fields[1]) else { return nil }
    return wholeProcessors(quota: quota, period: period)
  }

  private static func version1Quota(_ folder: String) -> Int? {
    func number(_ name: String) -> Int? {
      systemFileText(folder + "/" + name).flatMap { $0.split(whereSeparator: \.isWhitespace).first }.flatMap { Int($0) }
    }
    guard let quota = number("cpu.cfs_quota_us"), let period = number("cpu.cfs_period_us") else { return nil }
    return wholeProcessors(quota: quota, period: period)
  }

  private static func wholeProcessors(quota: Int, period: Int) -> Int? {
    guard quota > 0, period > 0 else { return nil }
    return max(1, (quota + period - 1) / period)
  }
}

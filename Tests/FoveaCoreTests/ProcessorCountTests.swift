import Foundation
import FoveaCore
import Testing

@Suite struct ProcessorCountTests {
  @Test("the affinity mask's bits are counted")
  func affinity() {
    #expect(ProcessorCount.affinityCount(status: "Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n") == 2)
    #expect(ProcessorCount.affinityCount(status: "Cpus_allowed:\tff,00000001\n") == 9)
    #expect(ProcessorCount.affinityCount(status: "Name:\tx\n") == nil)
    #expect(ProcessorCount.affinityCount(status: nil) == nil)
    #expect(ProcessorCount.usable() >= 1)
  }

  private func withGroups(_ files: [String: String], _ body: (String) -> Void) throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-cgroup-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
      let file = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    body(root.path)
  }

  @Test("the smallest quota on the way to the root counts, rounded up; none means no limit")
  func version2() throws {
    let files = ["cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n", "a/b/cpu.max": "max 100000\n"]
    try withGroups(files) { root in
      #expect(ProcessorCount.controlGroupQuota(root: root, membership: "0::/a/b\n") == 3)
      #expect(ProcessorCount.controlGroupQuota(root: root, membership: "0::/\n") == nil)
      #expect(ProcessorCount.controlGroupQuota(root: root + "/absent", membership: nil) == nil)
    }
  }

  @Test("version 1 groups are read too")
  func version1() throws {
    let files = ["cpu,cpuacct/x/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"]
    try withGroups(files) { root in
      #expect(ProcessorCount.controlGroupQuota(root: root, membership: "4:cpu,cpuacct:/x\n1:name=y:/x\n") == 2)
    }
  }
}

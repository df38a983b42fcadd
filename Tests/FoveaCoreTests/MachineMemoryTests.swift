import FoveaCore
import Testing

@Suite struct MachineMemoryTests {
  @Test("a cache's size is read as Linux writes it")
  func sizes() {
    #expect(MachineMemory.byteCount(of: "32768K\n") == 32 << 20)
    #expect(MachineMemory.byteCount(of: "96M") == 96 << 20)
    #expect(MachineMemory.byteCount(of: "512\n") == 512)
    for text in ["", "K", "0K", "12X", "-1K", "9999999999999999M"] {
      #expect(MachineMemory.byteCount(of: text) == nil, "\(text)")
    }
    #expect(MachineMemory.lastCacheByteCount >= 64 << 10)
    #expect(MachineMemory.byteCount() > MachineMemory.lastCacheByteCount)
    #expect(MachineMemory.secondLevelCacheByteCount.map { $0 >= 64 << 10 } ?? true)
  }

  @Test("whole cache lines inside the tensors are read, up to the limit")
  func reader() throws {
    let tensor = Tensor(zeros: [1000], elementType: .uint8)
    #expect(MemoryReader([tensor]).byteCount == 960)
    // The tensor begins at a line, its slice one byte behind.
    #expect(MemoryReader([tensor.sliced(axis: 0, 1..<1000)]).byteCount == 896)
    #expect(MemoryReader([tensor.sliced(axis: 0, 1..<50)]).byteCount == 0)
    #expect(MemoryReader([tensor, tensor], mostByteCount: 1100).byteCount == 960 + 128)
    for threadCount in [1, 3] {
      let stream = try ComputeStream(threadCount: threadCount)
      #expect(MemoryReader([tensor]).secondsToRead(on: stream) > 0)
      #expect(MemoryReader([]).secondsToRead(on: stream) >= 0)
    }
  }
}

internal import CFoveaKernels

/// Reads memory with all threads of a stream, doing nothing else: the pace that kernels are compared with.
///
/// How fast memory comes depends on where it lies and on what else the machine does at that moment, so a kernel is best
/// measured in turns with the reading of its own arrays.
package struct MemoryReader: @unchecked Sendable {
  // Unchecked for the pointers: what they point at is only read, and `tensors` keeps it.
  private let tensors: [Tensor]
  private let pieces: [UnsafeRawBufferPointer]

  /// The bytes that one reading takes.
  package var byteCount: Int { pieces.reduce(0) { $0 + $1.count } }

  /// Long beside the handing out, short beside a thread's share.
  private static let pieceByteCount = 256 << 10

  /// Reads the elements of `tensors`, which must be contiguous; no more than `mostByteCount` bytes of them.
  package init(_ tensors: [Tensor], mostByteCount: Int = 1 << 30) {
    self.tensors = tensors
    var left = mostByteCount
    var pieces: [UnsafeRawBufferPointer] = []
    for tensor in tensors {
      precondition(tensor.isContiguous, "only whole runs of memory are read")
      // The loop takes whole cache lines.
      let skipped = -Int(bitPattern: UnsafeRawPointer(tensor.baseAddress)) & 63
      let count = min(max(0, tensor.byteCount - skipped), left) / 64 * 64
      left -= count
      for offset in stride(from: 0, to: count, by: Self.pieceByteCount) {
        pieces.append(
          UnsafeRawBufferPointer(
            start: tensor.baseAddress + skipped + offset, count: min(Self.pieceByteCount, count - offset)))
      }
    }
    self.pieces = pieces
  }

  /// Reads everything twice, by plain loads and with hints of what comes next; gives the seconds that the faster way took.
  /// Which one that is depends on the CPU and on where the memory lies.
  package func secondsToRead(on stream: ComputeStream) -> Double {
    min(secondsToRead(asksAhead: false, on: stream), secondsToRead(asksAhead: true, on: stream))
  }

  private func secondsToRead(asksAhead: Bool, on stream: ComputeStream) -> Double {
    ContinuousClock().measure {
      stream.run {
        pieces.withUnsafeBufferPointer { pieces in
          // An address, so that the threads count no references.
          let pieces = pieces.baseAddress
          stream.forEachPiece(self.pieces.count) { piece, _ in
            guard let bytes = pieces?[piece] else { return }
            _ = fovea_read_memory(bytes.baseAddress, bytes.count, asksAhead)
          }
        }
      }
    } / .seconds(1)
  }
}

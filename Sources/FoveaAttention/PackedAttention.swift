package import CFoveaKernels
package import FoveaCore

extension AttentionEngine {
  /// Computes several independent problems, such as the sequences of a batch, as one phase. Must be called inside an
  /// operation of `stream`.
  ///
  /// Each has the bits that ``run(on:)`` gives it alone: keys are counted from its own first one. Packed lengths of one
  /// problem were rejected for this, since a sequence's blocks would then begin where its neighbours end.
  package static func run(_ engines: [AttentionEngine], on stream: ComputeStream) {
    let engines = engines.filter {
      $0.problem.batchCount > 0 && $0.problem.headCount > 0 && $0.problem.queryLength > 0
    }
    guard engines.count > 1 else {
      engines.first?.run(on: stream)
      return
    }
    let tilings = engines.map { Tiling(problem: $0.problem) }
    let kernels = stream.kernelTable
    let layouts = zip(engines, tilings).map { TileLayout(engine: $0, kernels: kernels, tiling: $1) }
    var owners: [(engine: Int32, tile: Int32)] = []
    owners.reserveCapacity(tilings.reduce(0) { $0 + $1.tileCount })
    for (index, tiling) in tilings.enumerated() {
      for tile in 0..<tiling.tileCount { owners.append((Int32(index), Int32(tile))) }
    }
    let scratchByteCount = layouts.reduce(0) { max($0, $1.byteCount) }
    // Read by all threads where they lie: counting references would cost more than a short sequence.
    engines.withUnsafeBufferPointer { engines in
      tilings.withUnsafeBufferPointer { tilings in
        layouts.withUnsafeBufferPointer { layouts in
          owners.withUnsafeBufferPointer { owners in
            stream.forEachPiece(owners.count, scratchByteCount: scratchByteCount, order: .apart) { piece, scratch in
              let owner = owners[piece]
              let index = Int(owner.engine)
              guard let base = engines.baseAddress else { return }
              let worker = TileWorker(
                engine: base + index, kernels: kernels, tile: tilings[index].tile(Int(owner.tile)),
                scratch: layouts[index].pointers(in: scratch))
              worker.computeTile(blockCount: tilings[index].blockCount)
            }
          }
        }
      }
    }
  }
}

extension AttentionEngine {
  /// The bytes of scratch memory that ``runAlone(_:scratch:)`` needs; more for longer queries, up to a tile.
  package func scratchByteCount(_ kernels: UnsafePointer<fovea_kernels>) -> Int {
    TileLayout(engine: self, kernels: kernels, tiling: Tiling(problem: problem)).byteCount
  }

  /// Computes all outputs on the calling thread, inside a piece of a larger job; the bits are those of ``run(on:)``.
  package func runAlone(_ kernels: UnsafePointer<fovea_kernels>, scratch: UnsafeMutableRawPointer) {
    let tiling = Tiling(problem: problem)
    let layout = TileLayout(engine: self, kernels: kernels, tiling: tiling)
    withUnsafePointer(to: self) { engine in
      for tile in 0..<tiling.tileCount {
        let worker = TileWorker(
          engine: engine, kernels: kernels, tile: tiling.tile(tile), scratch: layout.pointers(in: scratch))
        worker.computeTile(blockCount: tiling.blockCount)
      }
    }
  }
}

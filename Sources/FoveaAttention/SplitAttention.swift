internal import CFoveaKernels
internal import FoveaCore
internal import Synchronization

/// Attention whose tiles are too few for the threads: the keys of a tile are cut into runs of neighbouring blocks.
///
/// The blocks of a tile are joined in their order whatever the thread, or the bits would depend on who came first. A run
/// that begins where the tile's state ends goes on with that state; one that comes too early leaves the state of each of
/// its blocks, and whoever joins the run before it joins these too.
///
/// Every run has a copy of this: it holds no references, which all threads would count on one cache line.
struct SplitAttention {
  let engine: UnsafePointer<AttentionEngine>
  let kernels: UnsafePointer<fovea_kernels>
  let tiling: Tiling
  let layout: TileLayout

  /// The most memory for states of blocks that wait to be joined, unless a single block of every tile needs more.
  private static let pendingByteCount = 4 << 20

  private var stateLength: Int { layout.stateByteCount / MemoryLayout<Float>.stride }

  /// Computes all tiles, as many blocks at a time as their states have room.
  func run(on stream: ComputeStream) {
    let mostBlocks = max(1, Self.pendingByteCount / (tiling.tileCount * layout.stateByteCount))
    let roundCount = (tiling.blockCount + mostBlocks - 1) / mostBlocks
    let blocksPerRound = (tiling.blockCount + roundCount - 1) / roundCount
    // For each tile its state, then those of the blocks of a round; how far the tiles are joined comes last.
    let statesPerTile = 1 + blocksPerRound
    let stateByteCount = tiling.tileCount * statesPerTile * layout.stateByteCount
    let shared = stream.sharedScratch(
      byteCount: stateByteCount + JoinedRuns.byteCount(tileCount: tiling.tileCount, runsPerTile: blocksPerRound))
    let states = shared.assumingMemoryBound(to: Float.self)
    for firstBlock in stride(from: 0, to: tiling.blockCount, by: blocksPerRound) {
      let blocks = firstBlock..<min(tiling.blockCount, firstBlock + blocksPerRound)
      let blocksPerRun = tiling.blocksPerRun(inRoundOf: blocks.count, threadCount: stream.threadCount)
      let runsPerTile = (blocks.count + blocksPerRun - 1) / blocksPerRun
      let joinedRuns = JoinedRuns(
        at: shared + stateByteCount, tileCount: tiling.tileCount, runsPerTile: runsPerTile)
      stream.forEachPiece(tiling.tileCount * runsPerTile, scratchByteCount: layout.byteCount) { piece, scratch in
        let tile = piece / runsPerTile
        let round = SplitRound(
          attention: self, joinedRuns: joinedRuns, tile: tile, blocks: blocks, blocksPerRun: blocksPerRun,
          states: states + tile * statesPerTile * stateLength, scratch: scratch)
        round.compute(run: piece % runsPerTile)
      }
    }
  }

  /// Works on a tile with `states` as its state.
  fileprivate func worker(tile: Int, state: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer) -> TileWorker
  {
    var pointers = layout.pointers(in: scratch)
    pointers.state = state
    return TileWorker(engine: engine, kernels: kernels, tile: tiling.tile(tile), scratch: pointers)
  }

  fileprivate func state(_ index: Int, of states: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float> {
    states + index * stateLength
  }

  fileprivate func merge(_ states: UnsafeMutablePointer<Float>, count: Int, into worker: TileWorker) {
    worker.merge(states, count: count, stride: stateLength)
  }
}

/// One thread's part in the blocks of a tile that are computed together.
private struct SplitRound {
  let attention: SplitAttention
  let joinedRuns: JoinedRuns
  let tile: Int
  let blocks: Range<Int>
  let blocksPerRun: Int
  /// The tile's state, then those of `blocks`.
  let states: UnsafeMutablePointer<Float>
  let scratch: UnsafeMutableRawPointer

  private func blocks(ofRun run: Int) -> Range<Int> {
    let first = blocks.lowerBound + run * blocksPerRun
    return first..<min(blocks.upperBound, first + blocksPerRun)
  }

  private func worker(state: Int) -> TileWorker {
    attention.worker(tile: tile, state: attention.state(state, of: states), scratch: scratch)
  }

  /// Computes a run and joins what can be joined after it.
  func compute(run: Int) {
    let blocks = blocks(ofRun: run)
    var isTileComplete = false
    if joinedRuns.claim(run, ofTile: tile) {
      let worker = worker(state: 0)
      if blocks.lowerBound == 0 { worker.clearState() }
      worker.attend(toBlocks: blocks)
      isTileComplete = joinedRuns.release(run, ofTile: tile)
    } else {
      for block in blocks {
        let worker = worker(state: 1 + block - self.blocks.lowerBound)
        if block == blocks.lowerBound || worker.needsOtherQueries(before: block) { worker.packQueries(forBlock: block) }
        worker.clearState()
        worker.attend(toBlock: block)
      }
      joinedRuns.leave(run, ofTile: tile)
    }
    while let next = joinedRuns.claimLeft(ofTile: tile) {
      let blocks = self.blocks(ofRun: next)
      let first = attention.state(1 + blocks.lowerBound - self.blocks.lowerBound, of: states)
      attention.merge(first, count: blocks.count, into: worker(state: 0))
      isTileComplete = joinedRuns.release(next, ofTile: tile)
    }
    if isTileComplete, self.blocks.upperBound == attention.tiling.blockCount { worker(state: 0).finish() }
  }
}

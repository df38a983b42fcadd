package import CFoveaKernels
package import FoveaCore

/// The distances between neighbours of a `[batch, head, position, element]` array, in elements; elements are adjacent.
package struct AttentionStrides: Sendable {
  package var batch: Int
  package var head: Int
  package var position: Int

  package init(batch: Int, head: Int, position: Int) {
    self.batch = batch
    self.head = head
    self.position = position
  }
}

/// A run of keys and values that lies together in memory; a cache may hold several.
package struct KeyValueSegment {
  package var keys: UnsafeRawPointer
  package var keyStrides: AttentionStrides
  package var values: UnsafeRawPointer
  package var valueStrides: AttentionStrides
  /// The number of positions.
  package var count: Int

  package init(
    keys: UnsafeRawPointer, keyStrides: AttentionStrides, values: UnsafeRawPointer, valueStrides: AttentionStrides,
    count: Int
  ) {
    self.keys = keys
    self.keyStrides = keyStrides
    self.values = values
    self.valueStrides = valueStrides
    self.count = count
  }
}

/// Attention over memory that the caller vouches for: the op and the models' layers both come down to this.
///
/// The work is cut into tiles: the query heads of one key/value head at a run of positions, at most
/// ``rowsPerTile(headDimension:)`` rows. A tile walks over the keys in blocks of `FOVEA_KEY_BLOCK` counted from key 0 and joins their
/// results in this order, so the bits of a row depend on nothing but its own inputs. Where there are fewer tiles than
/// would keep the threads busy, blocks are computed apart and joined afterwards, in the same order.
package struct AttentionEngine {
  package var problem: AttentionProblem
  package var queries: UnsafeRawPointer
  package var queryType: fovea_element
  package var queryStrides: AttentionStrides
  package var keyType: fovea_element
  package var valueType: fovea_element
  /// In order; their counts sum to the problem's key length.
  package var segments: [KeyValueSegment]
  package var outputs: UnsafeMutableRawPointer
  package var outputType: fovea_element
  package var outputStrides: AttentionStrides
  /// `[batch, headCount, queryLength]`, row-major: log of the sum of exp(score), the sink included; −∞ for empty rows.
  package var logSumExp: UnsafeMutablePointer<Float>?
  package var scale: Float
  package var softCap: Float
  package var visibleKeys: VisibleKeys
  package var mask: BroadcastMask?
  /// One logit a query head, or none.
  package var sinks: [Float]

  /// Rows of one tile: a multiple of the kernels' register tile, so many that packing a block of keys and values costs
  /// little beside using it, and so few that queries, outputs and the block share a 1 MiB second-level cache.
  static func rowsPerTile(headDimension: Int) -> Int { headDimension <= 128 ? 240 : 120 }

  package init(
    problem: AttentionProblem, queries: UnsafeRawPointer, queryType: fovea_element, queryStrides: AttentionStrides,
    keyType: fovea_element, valueType: fovea_element, segments: [KeyValueSegment], outputs: UnsafeMutableRawPointer,
    outputType: fovea_element, outputStrides: AttentionStrides, logSumExp: UnsafeMutablePointer<Float>? = nil,
    scale: Float, softCap: Float = 0, visibleKeys: VisibleKeys, mask: BroadcastMask? = nil, sinks: [Float] = []
  ) {
    self.problem = problem
    self.queries = queries
    self.queryType = queryType
    self.queryStrides = queryStrides
    self.keyType = keyType
    self.valueType = valueType
    self.segments = segments
    self.outputs = outputs
    self.outputType = outputType
    self.outputStrides = outputStrides
    self.logSumExp = logSumExp
    self.scale = scale
    self.softCap = softCap
    self.visibleKeys = visibleKeys
    self.mask = mask
    self.sinks = sinks
  }

  /// Computes all outputs. Must be called inside an operation of `stream`.
  package func run(on stream: ComputeStream) {
    guard problem.batchCount > 0, problem.headCount > 0, problem.queryLength > 0 else { return }
    let kernels = stream.kernels
    let tiling = Tiling(problem: problem)
    let layout = TileLayout(engine: self, kernels: kernels, tiling: tiling)
    if tiling.tileCount < 2 * stream.threadCount, tiling.blockCount > 1, stream.threadCount > 1 {
      runSplit(on: stream, kernels: kernels, tiling: tiling, layout: layout)
      return
    }
    stream.forEachPiece(tiling.tileCount, scratchByteCount: layout.byteCount) { piece, scratch in
      // Later tiles see more keys under a causal mask: the longest first, so that no thread ends alone.
      let tile = tiling.tile(tiling.tileCount - 1 - piece)
      let worker = TileWorker(engine: self, kernels: kernels, tile: tile, scratch: layout.pointers(in: scratch))
      worker.packQueries()
      worker.clearState()
      for block in 0..<tiling.blockCount { worker.attend(toBlock: block) }
      worker.finish()
    }
  }

  /// Computes the blocks of every tile apart, then joins them in order.
  private func runSplit(on stream: ComputeStream, kernels: fovea_kernels, tiling: Tiling, layout: TileLayout) {
    let stateStride = layout.stateByteCount
    let partialByteCount = tiling.tileCount * tiling.blockCount * stateStride
    let partials = UnsafeMutableRawPointer.allocate(
      byteCount: partialByteCount, alignment: TensorStorage.alignmentByteCount)
    defer { partials.deallocate() }
    stream.forEachPiece(tiling.tileCount * tiling.blockCount, scratchByteCount: layout.byteCount) { piece, scratch in
      var pointers = layout.pointers(in: scratch)
      pointers.state = (partials + piece * stateStride).assumingMemoryBound(to: Float.self)
      let worker = TileWorker(
        engine: self, kernels: kernels, tile: tiling.tile(piece / tiling.blockCount), scratch: pointers)
      worker.packQueries()
      worker.clearState()
      worker.attend(toBlock: piece % tiling.blockCount)
    }
    stream.forEachPiece(tiling.tileCount, scratchByteCount: layout.byteCount) { index, scratch in
      var pointers = layout.pointers(in: scratch)
      let first = partials + index * tiling.blockCount * stateStride
      pointers.state = first.assumingMemoryBound(to: Float.self)
      let worker = TileWorker(engine: self, kernels: kernels, tile: tiling.tile(index), scratch: pointers)
      for block in 1..<tiling.blockCount {
        pointers.state = (first + block * stateStride).assumingMemoryBound(to: Float.self)
        worker.merge(pointers)
      }
      worker.finish()
    }
  }
}

/// How a problem is cut into tiles and blocks.
struct Tiling {
  let problem: AttentionProblem
  let positionsPerTile: Int
  let tilesPerHead: Int
  let tileCount: Int
  let blockCount: Int

  init(problem: AttentionProblem) {
    self.problem = problem
    let rowsPerTile = AttentionEngine.rowsPerTile(headDimension: problem.headDimension)
    positionsPerTile = min(problem.queryLength, max(1, rowsPerTile / problem.groupSize))
    tilesPerHead = (problem.queryLength + positionsPerTile - 1) / positionsPerTile
    tileCount = problem.batchCount * problem.keyValueHeadCount * tilesPerHead
    blockCount = (problem.keyLength + Int(FOVEA_KEY_BLOCK) - 1) / Int(FOVEA_KEY_BLOCK)
  }

  /// The most rows that a tile has.
  var rowCount: Int { positionsPerTile * problem.groupSize }

  /// Tiles are numbered by position first, so that neighbours in number differ in head and batch, not in length.
  func tile(_ index: Int) -> Tile {
    let headCount = problem.batchCount * problem.keyValueHeadCount
    let head = index % headCount
    let begin = index / headCount * positionsPerTile
    return Tile(
      batch: head / problem.keyValueHeadCount, keyValueHead: head % problem.keyValueHeadCount,
      positions: begin..<min(problem.queryLength, begin + positionsPerTile))
  }
}

/// The query rows that are computed together: row = head inside the group · positions.count + position.
struct Tile {
  var batch: Int
  var keyValueHead: Int
  var positions: Range<Int>
}

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
  /// The number of key indices up to the next segment: `count`, or more for a prefix, which ends with a whole block.
  package var span: Int

  package init(
    keys: UnsafeRawPointer, keyStrides: AttentionStrides, values: UnsafeRawPointer, valueStrides: AttentionStrides,
    count: Int, span: Int? = nil
  ) {
    self.keys = keys
    self.keyStrides = keyStrides
    self.values = values
    self.valueStrides = valueStrides
    self.count = count
    self.span = span ?? count
  }
}

/// Attention over memory that the caller vouches for: the op and the models' layers both come down to this.
///
/// The work is cut into tiles: the query heads of one key/value head at a run of positions, at most
/// ``rowsPerTile(headDimension:isTall:)`` rows. A tile walks over the keys in blocks of `FOVEA_KEY_BLOCK` counted from
/// key 0 and joins their results in this order, so the bits of a row depend on nothing but its own inputs. Where there
/// are fewer tiles than would keep the threads busy, blocks are computed apart and joined afterwards, in the same order.
package struct AttentionEngine {
  package var problem: AttentionProblem
  package var queries: UnsafeRawPointer
  /// What reads the prefix of the visible keys where that is not `queries`: the same rows turned by other positions.
  package var prefixQueries: UnsafeRawPointer?
  package var queryType: fovea_element
  package var queryStrides: AttentionStrides
  package var keyType: fovea_element
  package var valueType: fovea_element
  /// In order; their spans sum to the problem's key length. With codes the keys that no query reads as rows may be a
  /// segment of no positions with a span of whole blocks.
  package var segments: [KeyValueSegment]
  /// What queries read of the blocks before their own, where those are in codes. Needs a causal problem of one sequence
  /// without a mask array, whose keys and values are of one dimension.
  package var codes: CodedBlocks?
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
  /// Whether keys and values come out of memory rather than a cache. Changes the pace only.
  let comesFromMemory: Bool

  /// Rows of one tile: a multiple of the kernels' register tile, so many that packing a block of keys and values costs
  /// little beside using it, and so few that the working memory of a thread stays under 2 MiB. The block is what a
  /// second-level cache should hold; queries and outputs pass by once a block.
  ///
  /// - Parameter isTall: twice as many, where that cache holds queries and outputs too and each thread still has tiles
  ///   enough.
  static func rowsPerTile(headDimension: Int, isTall: Bool = false) -> Int {
    headDimension <= 256 ? isTall ? 528 : 264 : 120
  }

  /// - Parameter comesFromMemory: whether keys and values are out of the caches even if they would have room there.
  package init(
    problem: AttentionProblem, queries: UnsafeRawPointer, prefixQueries: UnsafeRawPointer? = nil,
    queryType: fovea_element, queryStrides: AttentionStrides, keyType: fovea_element, valueType: fovea_element,
    segments: [KeyValueSegment], codes: CodedBlocks? = nil, outputs: UnsafeMutableRawPointer,
    outputType: fovea_element, outputStrides: AttentionStrides, logSumExp: UnsafeMutablePointer<Float>? = nil,
    scale: Float, softCap: Float = 0, visibleKeys: VisibleKeys, mask: BroadcastMask? = nil, sinks: [Float] = [],
    comesFromMemory: Bool = false
  ) {
    self.problem = problem
    self.queries = queries
    self.prefixQueries = prefixQueries
    self.queryType = queryType
    self.queryStrides = queryStrides
    self.keyType = keyType
    self.valueType = valueType
    self.segments = segments
    self.codes = codes
    self.outputs = outputs
    self.outputType = outputType
    self.outputStrides = outputStrides
    self.logSumExp = logSumExp
    self.scale = scale
    self.softCap = softCap
    self.visibleKeys = visibleKeys
    self.mask = mask
    self.sinks = sinks
    let rowByteCount =
      problem.headDimension * elementByteCount(keyType) + problem.valueDimension * elementByteCount(valueType)
    let byteCount = problem.batchCount * problem.keyValueHeadCount * problem.keyLength * rowByteCount
    self.comesFromMemory = comesFromMemory || byteCount >= MachineMemory.lastCacheByteCount
  }

  /// Computes all outputs. Must be called inside an operation of `stream`.
  package func run(on stream: ComputeStream) {
    guard problem.batchCount > 0, problem.headCount > 0, problem.queryLength > 0 else { return }
    let tiling = Tiling(problem: problem)
    let layout = TileLayout(engine: self, kernels: stream.kernelTable, tiling: tiling)
    // The workers share one copy: counting references to it from several threads would cost more than a block.
    withUnsafePointer(to: self) { engine in
      if tiling.splitsKeys(threadCount: stream.threadCount) {
        SplitAttention(engine: engine, kernels: stream.kernelTable, tiling: tiling, layout: layout).run(on: stream)
        return
      }
      stream.forEachPiece(tiling.tileCount, scratchByteCount: layout.byteCount, order: .apart) { piece, scratch in
        let worker = TileWorker(
          engine: engine, kernels: stream.kernelTable, tile: tiling.tile(piece), scratch: layout.pointers(in: scratch))
        worker.computeTile(blockCount: tiling.blockCount)
      }
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
    let headCount = problem.batchCount * problem.keyValueHeadCount
    let tallTilesPerHead = Self.tilesPerHead(problem, isTall: true)
    let isTall = Self.tallTilesFitCache && headCount * tallTilesPerHead >= Self.leastTallTiles
    tilesPerHead = isTall ? tallTilesPerHead : Self.tilesPerHead(problem, isTall: false)
    // Tiles of one size: packing blocks for a short one at the end costs as much as for a long one.
    positionsPerTile = (problem.queryLength + tilesPerHead - 1) / tilesPerHead
    tileCount = headCount * tilesPerHead
    blockCount = (problem.keyLength + Int(FOVEA_KEY_BLOCK) - 1) / Int(FOVEA_KEY_BLOCK)
  }

  private static func tilesPerHead(_ problem: AttentionProblem, isTall: Bool) -> Int {
    let rowsPerTile = AttentionEngine.rowsPerTile(headDimension: problem.headDimension, isTall: isTall)
    let mostPositions = max(1, rowsPerTile / problem.groupSize)
    return (problem.queryLength + mostPositions - 1) / mostPositions
  }

  private static let tallTilesFitCache = MachineMemory.secondLevelCacheByteCount.map { $0 >= 2 << 20 } ?? false
  /// Eight a thread, if every processor has one.
  private static let leastTallTiles = 8 * ProcessorCount.usable()

  /// Pieces a thread that let the threads end together. A decode needs many: it lasts as long as its slowest thread.
  private var piecesPerThread: Int { rowCount <= Int(FOVEA_DIRECT_ROWS) ? 16 : 2 }

  /// Whether there are too few tiles to keep the threads busy, so that their keys are split too.
  func splitsKeys(threadCount: Int) -> Bool {
    threadCount > 1 && blockCount > 1 && tileCount < piecesPerThread * threadCount
  }

  /// How many neighbouring blocks make a piece.
  func blocksPerRun(inRoundOf count: Int, threadCount: Int) -> Int {
    max(1, tileCount * count / (piecesPerThread * threadCount))
  }

  /// The most rows that a tile has.
  var rowCount: Int { positionsPerTile * problem.groupSize }

  /// The tiles of a head follow each other, so that its keys and values are read from memory once and from a cache
  /// afterwards; the last positions come first, since they see the most keys under a causal mask and no thread should end
  /// alone with them.
  func tile(_ index: Int) -> Tile {
    let head = index / tilesPerHead
    let begin = (tilesPerHead - 1 - index % tilesPerHead) * positionsPerTile
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

internal import CFoveaKernels
internal import FoveaCore

/// Where a tile's working memory lies inside a thread's scratch block. Its size does not depend on the sequence length.
struct TileLayout {
  let kind: fovea_tile
  let rowCount: Int
  let paddedValueDimension: Int
  private let queryOffset: Int
  private let codedQueryOffset: Int
  private let keyOffset: Int
  private let valueOffset: Int
  private let kernelOffset: Int
  private let rangeOffset: Int
  private let maskOffset: Int
  private let stateOffset: Int
  /// Maxima, sums and outputs of a tile.
  let stateByteCount: Int
  let byteCount: Int

  init(engine: AttentionEngine, kernels: UnsafePointer<fovea_kernels>, tiling: Tiling) {
    // Pairs of bfloat16 go to the dot instruction where there is one; everything else is widened to float32.
    let types = [engine.queryType, engine.keyType, engine.valueType]
    let hasPairs = kernels.pointee.attention.1 != nil && types.allSatisfy { $0 == FOVEA_BFLOAT16 }
    kind = hasPairs ? FOVEA_TILE_BFLOAT16 : FOVEA_TILE_FLOAT32
    rowCount = tiling.rowCount
    let problem = engine.problem
    paddedValueDimension = fovea_padded_value_dimension(problem.valueDimension)

    var end = 0
    func reserve(_ byteCount: Int) -> Int {
      defer { end += (byteCount + 63) / 64 * 64 }
      return end
    }
    queryOffset = reserve(fovea_packed_query_byte_count(kind, rowCount, problem.headDimension))
    let codes = engine.codes?.format
    codedQueryOffset = reserve((codes?.paddedDimension ?? 0) * rowCount * MemoryLayout<Float>.stride)
    keyOffset = reserve(fovea_packed_key_byte_count(kind, problem.headDimension))
    valueOffset = reserve(fovea_packed_value_byte_count(kind, problem.valueDimension))
    kernelOffset = reserve(
      max(fovea_attention_scratch_byte_count(kind, problem.valueDimension), codes?.scratchByteCount ?? 0))
    rangeOffset = reserve(rowCount * 2 * MemoryLayout<Int32>.stride)
    maskOffset = reserve(
      engine.mask == nil ? 0 : Int(FOVEA_ROW_STEP) * Int(FOVEA_KEY_BLOCK) * MemoryLayout<Float>.stride)
    stateOffset = end
    stateByteCount = (rowCount * (2 + paddedValueDimension) * MemoryLayout<Float>.stride + 63) / 64 * 64
    byteCount = end + stateByteCount
  }

  func pointers(in scratch: UnsafeMutableRawPointer) -> TilePointers {
    TilePointers(
      kind: kind, rowCount: rowCount, queries: scratch + queryOffset,
      codedQueries: (scratch + codedQueryOffset).assumingMemoryBound(to: Float.self), keys: scratch + keyOffset,
      values: scratch + valueOffset, kernelScratch: scratch + kernelOffset,
      visibleBegins: (scratch + rangeOffset).assumingMemoryBound(to: Int32.self),
      mask: (scratch + maskOffset).assumingMemoryBound(to: Float.self),
      state: (scratch + stateOffset).assumingMemoryBound(to: Float.self))
  }
}

/// The parts of a thread's scratch block, valid inside one piece of work.
struct TilePointers {
  var kind: fovea_tile
  var rowCount: Int
  var queries: UnsafeMutableRawPointer
  /// The queries as they meet codes; without room where there are none.
  var codedQueries: UnsafeMutablePointer<Float>
  var keys: UnsafeMutableRawPointer
  var values: UnsafeMutableRawPointer
  var kernelScratch: UnsafeMutableRawPointer
  var visibleBegins: UnsafeMutablePointer<Int32>
  var visibleEnds: UnsafeMutablePointer<Int32> { visibleBegins + rowCount }
  var mask: UnsafeMutablePointer<Float>
  /// Where maxima, sums and outputs of the tile are kept.
  var state: UnsafeMutablePointer<Float>
  var maxima: UnsafeMutablePointer<Float> { state }
  var sums: UnsafeMutablePointer<Float> { state + rowCount }
  var outputs: UnsafeMutablePointer<Float> { state + 2 * rowCount }
}

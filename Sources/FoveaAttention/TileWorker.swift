internal import CFoveaKernels
internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// One thread's work on one tile. Holds no reference: ``AttentionEngine/run(on:)`` keeps everything alive.
struct TileWorker {
  let engine: UnsafePointer<AttentionEngine>
  let kernels: UnsafePointer<fovea_kernels>
  let tile: Tile
  var scratch: TilePointers

  private var problem: AttentionProblem { engine.pointee.problem }
  private var rowCount: Int { tile.positions.count * problem.groupSize }
  private var paddedValueDimension: Int { fovea_padded_value_dimension(problem.valueDimension) }
  private static let blockLength = Int(FOVEA_KEY_BLOCK)

  private var pack: (queries: fovea_pack_kernel?, keys: fovea_pack_kernel?, values: fovea_pack_kernel?) {
    scratch.kind == FOVEA_TILE_BFLOAT16
      ? (kernels.pointee.pack_queries.1, kernels.pointee.pack_keys.1, kernels.pointee.pack_values.1)
      : (kernels.pointee.pack_queries.0, kernels.pointee.pack_keys.0, kernels.pointee.pack_values.0)
  }

  private func queryHead(_ headInGroup: Int) -> Int { tile.keyValueHead * problem.groupSize + headInGroup }

  /// The whole of the tile: every block of keys, first to last.
  func computeTile(blockCount: Int) {
    clearState()
    attend(toBlocks: 0..<blockCount)
    finish()
  }

  /// Joins the keys of neighbouring blocks, first to last, to the rows' state.
  func attend(toBlocks blocks: Range<Int>) {
    for block in blocks {
      if block == blocks.lowerBound || needsOtherQueries(before: block) { packQueries(forBlock: block) }
      attend(toBlock: block)
    }
  }

  /// Whether the queries that the block before was read by are not those of `block`.
  func needsOtherQueries(before block: Int) -> Bool {
    engine.pointee.prefixQueries != nil && block == engine.pointee.visibleKeys.prefixBlockCount
  }

  /// Where the query of a head of the tile at a position lies, in elements.
  func queryOffset(headInGroup: Int, position: Int) -> Int {
    let strides = engine.pointee.queryStrides
    return tile.batch * strides.batch + queryHead(headInGroup) * strides.head + position * strides.position
  }

  /// Brings the tile's queries into the kernels' layout: those that read `block`.
  func packQueries(forBlock block: Int) {
    var queries = engine.pointee.queries
    if let others = engine.pointee.prefixQueries, block < engine.pointee.visibleKeys.prefixBlockCount {
      queries = others
    } else {
      // Also before a prefix that the same queries read: they are not packed again for the blocks in codes behind it.
      widenQueries()
    }
    for headInGroup in 0..<problem.groupSize {
      let offset = queryOffset(headInGroup: headInGroup, position: tile.positions.lowerBound)
      var work = fovea_pack(
        rows: queries + offset * elementByteCount(engine.pointee.queryType),
        stride: engine.pointee.queryStrides.position,
        element: engine.pointee.queryType, count: tile.positions.count, dimension: problem.headDimension,
        first: headInGroup * tile.positions.count, packed: scratch.queries)
      _ = pack.queries?(&work)
    }
  }

  /// The state of rows that have seen no key.
  func clearState() {
    scratch.maxima.update(repeating: -.infinity, count: rowCount)
    scratch.sums.update(repeating: 0, count: rowCount)
    scratch.outputs.update(repeating: 0, count: rowCount * paddedValueDimension)
  }

  /// Joins the keys of one block to the rows' state.
  func attend(toBlock block: Int) {
    let blockStart = block * Self.blockLength
    let keyCount = engine.pointee.visibleKeys.keyCount(ofBlockAt: blockStart)
    var work = fovea_attention_block()
    work.keys = UnsafeRawPointer(scratch.keys)
    work.values = UnsafeRawPointer(scratch.values)
    work.key_count = keyCount
    work.dimension = problem.headDimension
    work.value_dimension = problem.valueDimension
    work.scale = engine.pointee.scale
    work.soft_cap = engine.pointee.softCap
    work.scratch = scratch.kernelScratch
    if engine.pointee.codes != nil, findVisibleKeys(blockStart: blockStart, keyCount: keyCount, form: .codes) {
      setRows(&work, 0..<rowCount)
      attendToCodes(work, blockStart: blockStart)
    }
    guard findVisibleKeys(blockStart: blockStart, keyCount: keyCount, form: .rows) else { return }
    let attend = scratch.kind == FOVEA_TILE_BFLOAT16 ? kernels.pointee.attention.1 : kernels.pointee.attention.0

    guard let mask = engine.pointee.mask else {
      setRows(&work, 0..<rowCount)
      if attendInPlace(work, blockStart: blockStart) { return }
      work.values_not_finite = packBlock(blockStart: blockStart, keyCount: keyCount)
      attend?(&work)
      return
    }
    // A mask array is widened a few rows at a time; keys are packed once some row is known to see one of them.
    var isPacked = false
    for first in stride(from: 0, to: rowCount, by: Int(FOVEA_ROW_STEP)) {
      let rows = first..<min(rowCount, first + Int(FOVEA_ROW_STEP))
      guard expandMask(mask, rows: rows, blockStart: blockStart) else { continue }
      setRows(&work, rows)
      work.mask = UnsafePointer(scratch.mask)
      if attendInPlace(work, blockStart: blockStart) { continue }
      if !isPacked {
        work.values_not_finite = packBlock(blockStart: blockStart, keyCount: keyCount)
        isPacked = true
      }
      attend?(&work)
    }
  }

  /// The block for few rows, without packing it; false if it has to be packed.
  private func attendInPlace(_ block: fovea_attention_block, blockStart: Int) -> Bool {
    guard rowCount <= Int(FOVEA_DIRECT_ROWS),
      let attend = scratch.kind == FOVEA_TILE_BFLOAT16
        ? kernels.pointee.attention_rows.1 : kernels.pointee.attention_rows.0
    else { return false }
    var segmentStart = 0
    for segment in engine.pointee.segments {
      defer { segmentStart += segment.span }
      guard blockStart < segmentStart + segment.count else { continue }
      // A block made of several runs is packed.
      guard blockStart >= segmentStart, blockStart + block.key_count <= segmentStart + segment.count else {
        return false
      }
      let first = blockStart - segmentStart
      var work = fovea_attention_rows(
        block: block, key_rows: row(first, of: segment.keys, segment.keyStrides, engine.pointee.keyType),
        key_stride: segment.keyStrides.position, key_element: engine.pointee.keyType,
        value_rows: row(first, of: segment.values, segment.valueStrides, engine.pointee.valueType),
        value_stride: segment.valueStrides.position, value_element: engine.pointee.valueType,
        comes_from_memory: engine.pointee.comesFromMemory)
      return attend(&work)
    }
    return false
  }

  /// Where a position of the tile's key/value head lies in a segment.
  private func row(
    _ position: Int, of base: UnsafeRawPointer, _ strides: AttentionStrides, _ type: fovea_element
  ) -> UnsafeRawPointer {
    let offset = tile.batch * strides.batch + tile.keyValueHead * strides.head + position * strides.position
    return base + offset * elementByteCount(type)
  }

  private func setRows(_ work: inout fovea_attention_block, _ rows: Range<Int>) {
    let queryByteCount =
      scratch.kind == FOVEA_TILE_BFLOAT16 ? (problem.headDimension + 1) / 2 * 4 : problem.headDimension * 4
    work.queries = UnsafeRawPointer(scratch.queries + rows.lowerBound * queryByteCount)
    work.row_count = rows.count
    work.visible_begin = UnsafePointer(scratch.visibleBegins + rows.lowerBound)
    work.visible_end = UnsafePointer(scratch.visibleEnds + rows.lowerBound)
    work.maxima = scratch.maxima + rows.lowerBound
    work.sums = scratch.sums + rows.lowerBound
    work.outputs = scratch.outputs + rows.lowerBound * paddedValueDimension
  }

  /// Notes each row's visible run inside the block, as far as the row reads it in that form; false if no row sees any of
  /// it.
  private func findVisibleKeys(blockStart: Int, keyCount: Int, form: BlockForm) -> Bool {
    if engine.pointee.codes == nil,
      engine.pointee.visibleKeys.seesAll(before: blockStart + keyCount, fromQuery: tile.positions.lowerBound)
    {
      scratch.visibleBegins.update(repeating: 0, count: rowCount)
      scratch.visibleEnds.update(repeating: Int32(keyCount), count: rowCount)
      return true
    }
    var isAnyVisible = false
    for (index, position) in tile.positions.enumerated() {
      let isRead = self.form(ofBlockAt: blockStart, query: position) == form
      let range = isRead ? engine.pointee.visibleKeys.range(forQuery: position, inBlockAt: blockStart) : 0..<0
      let begin = min(keyCount, max(0, range.lowerBound - blockStart))
      let end = max(begin, min(keyCount, range.upperBound - blockStart))
      isAnyVisible = isAnyVisible || begin < end
      for row in stride(from: index, to: rowCount, by: tile.positions.count) {
        scratch.visibleBegins[row] = Int32(begin)
        scratch.visibleEnds[row] = Int32(end)
      }
    }
    return isAnyVisible
  }

  /// Widens the mask of `rows` to float32 and narrows their visible runs to the keys it lets through; false if none.
  private func expandMask(_ mask: BroadcastMask, rows: Range<Int>, blockStart: Int) -> Bool {
    var isAnyVisible = false
    for row in rows {
      let begin = Int(scratch.visibleBegins[row])
      let end = Int(scratch.visibleEnds[row])
      let visible = mask.expand(
        batch: tile.batch, head: queryHead(row / tile.positions.count),
        query: tile.positions.lowerBound + row % tile.positions.count, firstKey: blockStart, keys: begin..<end,
        into: scratch.mask + (row - rows.lowerBound) * Self.blockLength, kernels: kernels)
      scratch.visibleBegins[row] = Int32(visible.lowerBound)
      scratch.visibleEnds[row] = Int32(visible.upperBound)
      isAnyVisible = isAnyVisible || !visible.isEmpty
    }
    return isAnyVisible
  }

  /// Brings the block's keys and values into the kernels' layout; true if a value is infinite or NaN.
  private func packBlock(blockStart: Int, keyCount: Int) -> Bool {
    var segmentStart = 0
    var isNotFinite = false
    for segment in engine.pointee.segments {
      let begin = max(blockStart, segmentStart)
      let end = min(blockStart + keyCount, segmentStart + segment.count)
      defer { segmentStart += segment.span }
      guard begin < end else { continue }
      func rows(
        _ base: UnsafeRawPointer, _ strides: AttentionStrides, _ type: fovea_element, _ dimension: Int,
        _ packed: UnsafeMutableRawPointer
      ) -> fovea_pack {
        fovea_pack(
          rows: row(begin - segmentStart, of: base, strides, type), stride: strides.position, element: type,
          count: end - begin, dimension: dimension, first: begin - blockStart, packed: packed)
      }
      var keys = rows(segment.keys, segment.keyStrides, engine.pointee.keyType, problem.headDimension, scratch.keys)
      _ = pack.keys?(&keys)
      var values = rows(
        segment.values, segment.valueStrides, engine.pointee.valueType, problem.valueDimension, scratch.values)
      isNotFinite = pack.values?(&values) == true || isNotFinite
    }
    return isNotFinite
  }

  /// Joins the states that `count` later blocks left, `stride` elements apart, to this tile's.
  func merge(_ states: UnsafeMutablePointer<Float>, count: Int, stride: Int) {
    var later = scratch
    later.state = states
    var work = fovea_attention_merge(
      row_count: rowCount, value_dimension: problem.valueDimension, maxima: scratch.maxima, sums: scratch.sums,
      outputs: scratch.outputs, block_count: count, block_stride: stride, block_maxima: later.maxima,
      block_sums: later.sums, block_outputs: later.outputs)
    kernels.pointee.attention_merge(&work)
  }

  /// Adds the sinks, divides by the sums and writes the results.
  func finish() {
    let positionCount = tile.positions.count
    let strides = engine.pointee.outputStrides
    let (outputType, dimension) = (engine.pointee.outputType, problem.valueDimension)
    let (width, padded) = (elementByteCount(outputType), paddedValueDimension)
    let outputs = engine.pointee.outputs
    let scale = kernels.pointee.scale
    let hasSinks = !engine.pointee.sinks.isEmpty
    for headInGroup in 0..<problem.groupSize {
      let head = queryHead(headInGroup)
      let offset = tile.batch * strides.batch + head * strides.head + tile.positions.lowerBound * strides.position
      for index in 0..<positionCount {
        let row = headInGroup * positionCount + index
        var maximum = scratch.maxima[row]
        var sum = scratch.sums[row]
        var factor: Float = 1
        // A row that sees no key gives zeros, sink or not.
        let isEmpty = maximum == -.infinity
        if hasSinks, !isEmpty {
          let sink = engine.pointee.sinks[head]
          let merged = maximum > sink || maximum.isNaN ? maximum : sink
          factor = expf(maximum - merged)
          sum = sum * factor + expf(sink - merged)
          maximum = merged
        }
        scale?(
          scratch.outputs + row * padded, isEmpty ? 0 : factor / sum,
          outputs + (offset + index * strides.position) * width, outputType, dimension)
        if let logSumExp = engine.pointee.logSumExp {
          let place = (tile.batch * problem.headCount + head) * problem.queryLength + tile.positions.lowerBound + index
          logSumExp[place] = isEmpty ? -.infinity : maximum + logf(sum)
        }
      }
    }
  }
}

/// The size of one element of a kernel type in bytes.
func elementByteCount(_ element: fovea_element) -> Int { element == FOVEA_FLOAT32 ? 4 : 2 }

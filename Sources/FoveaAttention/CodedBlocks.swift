package import CFoveaKernels

/// Keys and values of one sequence in codes, in blocks of `FOVEA_KEY_BLOCK` positions.
///
/// A query reads the block that it lies in, and a prefix, as rows; the blocks between them it reads in codes. Which form
/// it reads depends on its position alone, and with it its bits.
package struct CodedBlocks {
  /// The slots of the first head; a slot holds one block.
  package var base: UnsafeRawPointer
  package var format: fovea_code_format
  /// The number of slots. Blocks follow each other around this ring.
  package var slotCount: Int
  /// The slot of the first block behind the prefix.
  package var firstSlot: Int

  package init(base: UnsafeRawPointer, format: fovea_code_format, slotCount: Int, firstSlot: Int) {
    self.base = base
    self.format = format
    self.slotCount = slotCount
    self.firstSlot = firstSlot
  }

  /// A block, counted from the first one behind the prefix, of a head.
  func block(_ index: Int, keyValueHead: Int) -> UnsafeRawPointer {
    let slot = keyValueHead * slotCount + (firstSlot + index) % slotCount
    return base + slot * format.blockByteCount
  }
}

extension fovea_code_format {
  /// The bytes of a block of one head.
  package var blockByteCount: Int { withUnsafePointer(to: self) { fovea_coded_block_byte_count($0) } }

  /// The dimension rounded up to what kernels work on.
  var paddedDimension: Int { withUnsafePointer(to: self) { fovea_coded_dimension($0) } }

  /// The working memory of attention over a block.
  var scratchByteCount: Int { withUnsafePointer(to: self) { fovea_coded_scratch_byte_count($0) } }
}

extension TileWorker {
  /// Which of a block's two forms a query reads.
  enum BlockForm {
    case rows
    case codes
  }

  /// The form in which `query` reads the block at key `blockStart`.
  func form(ofBlockAt blockStart: Int, query: Int) -> BlockForm {
    guard engine.pointee.codes != nil, blockStart >= engine.pointee.visibleKeys.prefixSpan else { return .rows }
    let problem = engine.pointee.problem
    return blockStart + Int(FOVEA_KEY_BLOCK) <= query + problem.keyLength - problem.queryLength ? .codes : .rows
  }

  /// Brings the tile's queries into the form that meets codes: float32, padded with zeros.
  func widenQueries() {
    guard let codes = engine.pointee.codes else { return }
    let (dimension, padded) = (engine.pointee.problem.headDimension, codes.format.paddedDimension)
    let type = engine.pointee.queryType
    for headInGroup in 0..<engine.pointee.problem.groupSize {
      for (index, position) in tile.positions.enumerated() {
        let offset = queryOffset(headInGroup: headInGroup, position: position)
        let target = scratch.codedQueries + (headInGroup * tile.positions.count + index) * padded
        kernels.pointee.convert(
          engine.pointee.queries + offset * elementByteCount(type), type, target, FOVEA_FLOAT32, dimension)
        (target + dimension).update(repeating: 0, count: padded - dimension)
      }
    }
  }

  /// Joins the keys of a block in codes to the state of the rows of `block`.
  func attendToCodes(_ block: fovea_attention_block, blockStart: Int) {
    guard let codes = engine.pointee.codes else { return }
    let index = (blockStart - engine.pointee.visibleKeys.prefixSpan) / Int(FOVEA_KEY_BLOCK)
    var work = fovea_coded_attention(
      block: block, format: codes.format, coded: codes.block(index, keyValueHead: tile.keyValueHead),
      queries: scratch.codedQueries)
    kernels.pointee.coded_attention(&work)
  }
}

internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// The way of a token where every thread takes sequences of its own through all layers.
///
/// The products, norms and attention are those of `evaluateLayers`, so that the bits are the same.
extension EncoderModel {
  /// The hidden states of all sequences; nil if they are not to be cut into blocks, or somebody measures phases, in
  /// which all threads take part.
  func evaluateBlocks(_ sequences: [[Int]]) -> ActivationRows? {
    guard activationType == .float32, !stream.isMeasured,
      let blocks = EncoderBlocks(lengths: sequences.map(\.count), threadCount: stream.threadCount)
    else { return nil }
    let tokens = placedTokens(sequences)
    let hiddenStates = workspace.states(count: tokens.count)
    let layout = BlockLayout(self, hiddenStates.rows(0..<blocks.rowLimit))
    stream.forEachPiece(blocks.sequences.count, scratchByteCount: layout.byteCount, order: .apart) { block, scratch in
      let rows = blocks.rows(block)
      let worker = BlockWorker(
        model: self, kernels: stream.kernelTable, hiddenStates: hiddenStates.rows(rows), layout: layout,
        scratch: scratch)
      worker.run(
        tokens[rows], sequences: blocks.sequences[block].map { blocks.firstRows[$0]..<blocks.firstRows[$0 + 1] })
    }
    return hiddenStates
  }
}

/// Where a block's working memory lies in a thread's scratch block.
private struct BlockLayout {
  /// Queries, keys and values; later what is between the matrices of the feed-forward block, a part at a time.
  let projected = 0
  let attended: Int
  /// What a block adds to the hidden states.
  let branch: Int
  /// Rounded rows: what enters a product, and a part of what is between the matrices of the feed-forward block.
  let rounded: Int
  let roundedPart: Int
  let attention: Int
  let byteCount: Int

  /// Scratch of this size lies on huge pages.
  private static let leastByteCount = 4 << 20

  /// For blocks of as many rows as `hiddenStates` has.
  init(_ model: EncoderModel, _ hiddenStates: ActivationRows) {
    let rowCount = hiddenStates.count
    let hiddenSize = model.configuration.hiddenSize
    var end = 0
    // Buffers that begin at the same place of a page get in each other's way in the first-level cache.
    func reserve(_ byteCount: Int, _ index: Int) -> Int {
      let begin = (end + 4095) / 4096 * 4096 + index * 512
      end = begin + byteCount
      return begin
    }
    let hiddenByteCount = rowCount * hiddenSize * MemoryLayout<Float>.stride
    let partByteCount = rowCount * PackedMatrix.stepsPerPart * MemoryLayout<Float>.stride
    let form = PackedForm(model.precision)
    _ = reserve(max(3 * hiddenByteCount, partByteCount), 0)
    attended = reserve(hiddenByteCount, 1)
    branch = reserve(hiddenByteCount, 2)
    rounded = reserve(form.inputByteCount(rowCount: rowCount, depth: hiddenSize), 3)
    roundedPart = reserve(form.inputByteCount(rowCount: rowCount, depth: PackedMatrix.stepsPerPart), 4)
    attention = (end + 4095) / 4096 * 4096
    // A sequence is at most as long as its block.
    let engine = model.attention(hiddenStates, into: hiddenStates.base, hiddenStates)
    byteCount = max(Self.leastByteCount, attention + engine.scratchByteCount(model.stream.kernelTable))
  }
}

/// One thread's work on one block.
private struct BlockWorker {
  let model: EncoderModel
  let kernels: UnsafePointer<fovea_kernels>
  /// The block's rows.
  let hiddenStates: ActivationRows
  let projected: ActivationRows
  let attended: ActivationRows
  let branch: ActivationRows
  let rounded: UnsafeMutableRawPointer
  let roundedPart: UnsafeMutableRawPointer
  let attentionScratch: UnsafeMutableRawPointer

  init(
    model: EncoderModel, kernels: UnsafePointer<fovea_kernels>, hiddenStates: ActivationRows, layout: BlockLayout,
    scratch: UnsafeMutableRawPointer
  ) {
    self.model = model
    self.kernels = kernels
    self.hiddenStates = hiddenStates
    let hiddenSize = model.configuration.hiddenSize
    func rows(_ offset: Int, _ width: Int) -> ActivationRows {
      ActivationRows(base: scratch + offset, type: .float32, stride: width, count: hiddenStates.count)
    }
    projected = rows(layout.projected, 3 * hiddenSize)
    attended = rows(layout.attended, hiddenSize)
    branch = rows(layout.branch, hiddenSize)
    rounded = scratch + layout.rounded
    roundedPart = scratch + layout.roundedPart
    attentionScratch = scratch + layout.attention
  }

  /// `sequences` are rows of the batch, as the indices of `tokens` are.
  func run(_ tokens: ArraySlice<EncoderModel.PlacedToken>, sequences: [Range<Int>]) {
    for (row, token) in tokens.enumerated() { model.embed(token, kernels, into: hiddenStates.floats(row)) }
    normalize(model.weights.embeddingNorm)
    for layer in model.weights.layers {
      guard case .packed(let projections) = layer.projections, case .packed(let output) = layer.outputProjection,
        case .packed(let up) = layer.up, case .packed(let down) = layer.down
      else { return }
      multiply(hiddenStates, projections.matrix, into: projected)
      for sequence in sequences where !sequence.isEmpty {
        let rows = sequence.lowerBound - tokens.startIndex..<sequence.upperBound - tokens.startIndex
        model.attention(projected.rows(rows), into: attended.row(rows.lowerBound), attended)
          .runAlone(kernels, scratch: attentionScratch)
      }
      multiply(attended, output.matrix, into: branch)
      addBranch(norm: layer.attentionNorm)
      feedForward(up: up.matrix, down: down.matrix)
      addBranch(norm: layer.outputNorm)
    }
  }

  private func multiply(_ activations: ActivationRows, _ weights: PackedMatrix, into outputs: ActivationRows) {
    let inputs = weights.form.inputs(kernels, activations, depth: weights.inputSize, memory: rounded)
    for piece in 0..<weights.pieceCount {
      weights.multiply(
        kernels, inputs, piece: piece, outputs: outputs.floats() + piece * PackedMatrix.columnsPerPiece,
        outputStride: outputs.stride)
    }
  }

  /// branch = down · function(up · hiddenStates), of which a part of the columns between is there at a time.
  private func feedForward(up: PackedMatrix, down: PackedMatrix) {
    let activated = projected.floats()
    let rowCount = hiddenStates.count
    let width = PackedMatrix.columnsPerPiece
    let inputs = up.form.inputs(kernels, hiddenStates, depth: up.inputSize, memory: rounded)
    for part in 0..<down.partCount {
      let columns = PackedMatrix.steps(part, of: down.inputSize)
      for piece in columns.lowerBound / width..<(columns.upperBound + width - 1) / width {
        up.multiply(
          kernels, inputs, piece: piece, outputs: activated + piece * width - columns.lowerBound,
          outputStride: columns.count)
      }
      model.configuration.activation.apply(
        kernels, gate: activated, up: nil, outputs: activated, outputElement: FOVEA_FLOAT32,
        count: rowCount * columns.count)
      let rows = ActivationRows(base: activated, type: .float32, stride: columns.count, count: rowCount)
      let partInputs = down.form.inputs(kernels, rows, depth: columns.count, memory: roundedPart)
      for piece in 0..<down.pieceCount {
        down.multiply(
          kernels, partInputs, part: part, piece: piece, outputs: branch.floats() + piece * width,
          outputStride: branch.stride)
      }
    }
  }

  private func addBranch(norm: Norm) {
    kernels.pointee.add_scaled(branch.floats(), 1, hiddenStates.floats(), branch.count * branch.stride)
    normalize(norm)
  }

  private func normalize(_ norm: Norm) {
    norm.applyInPlace(kernels, hiddenStates.floats(), width: hiddenStates.count * hiddenStates.stride)
  }
}

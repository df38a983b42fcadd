internal import CFoveaKernels
internal import FoveaCore

/// The small steps of ``DecoderModel``'s way of a token: embedding, norms, the residual stream and logits.
extension DecoderModel {
  /// The embedding of each token, scaled where the family does.
  func embed(_ tokens: ArraySlice<Int>, into hiddenStates: ActivationRows) {
    let kernels = stream.kernelTable
    let table = weights.embedding
    let hiddenSize = configuration.hiddenSize
    let multiplier = configuration.embeddingMultiplier
    stream.forEachRange(tokens.count, grain: 32) { rows in
      for row in rows {
        let target = hiddenStates.floats(row)
        table.widenRow(tokens[tokens.startIndex + row], into: target, kernels: kernels)
        if multiplier != 1 { kernels.pointee.scale(target, multiplier, target, FOVEA_FLOAT32, hiddenSize) }
      }
    }
  }

  /// outputs = norm(hiddenStates), or the hidden states themselves where there is no norm, in the type of `outputs`.
  func normalize(_ hiddenStates: ActivationRows, by norm: Norm?, into outputs: ActivationRows) {
    if let norm {
      norm.apply(hiddenStates, into: outputs, on: stream)
      return
    }
    let kernels = stream.kernelTable
    stream.forEachRange(hiddenStates.count, grain: 16) { rows in
      for row in rows {
        kernels.pointee.convert(
          hiddenStates.row(row), FOVEA_FLOAT32, outputs.row(row), outputs.type.kernelElement, hiddenStates.stride)
      }
    }
  }

  /// hiddenStates += multiplier · norm(inputs · weightsᵀ): the end of a block.
  func addProduct(
    _ inputs: ProductInputs, _ weights: LinearWeights, norm: Norm?, to hiddenStates: ActivationRows
  ) {
    let isPlain = norm == nil && configuration.residualMultiplier == 1
    let outputs = isPlain ? hiddenStates : workspace.rows(.branch, count: hiddenStates.count)
    stream.multiply(
      inputs, LinearProduct(weights: weights, outputs: outputs.floats(), outputStride: outputs.stride),
      accumulates: isPlain)
    if !isPlain { add(outputs, norm: norm, to: hiddenStates) }
  }

  /// hiddenStates += multiplier · norm(branch); what `branch` holds is lost.
  func add(_ branch: ActivationRows, norm: Norm?, to hiddenStates: ActivationRows) {
    let kernels = stream.kernelTable
    let multiplier = configuration.residualMultiplier
    stream.forEachRange(branch.count, grain: 16) { rows in
      for row in rows {
        norm?.applyInPlace(kernels, branch.floats(row), width: branch.stride)
        kernels.pointee.add_scaled(branch.floats(row), multiplier, hiddenStates.floats(row), branch.stride)
      }
    }
  }

  /// The multiplier and the soft-cap of logits.
  func finish(_ logits: UnsafeMutablePointer<Float>, count: Int) {
    let kernels = stream.kernelTable
    let multiplier = configuration.logitMultiplier
    let softCap = configuration.logitSoftCap
    guard multiplier != 1 || softCap != nil else { return }
    stream.forEachRange(count, grain: 1 << 14) { range in
      let part = logits + range.lowerBound
      if multiplier != 1 { kernels.pointee.scale(part, multiplier, part, FOVEA_FLOAT32, range.count) }
      if let softCap { kernels.pointee.soft_cap(part, softCap, part, range.count) }
    }
  }
}

extension ModelConfiguration {
  /// The width and type of a buffer of the workspace. `productType` is that of what enters most products,
  /// `activationType` that of attention's inputs and outputs.
  func size(
    of buffer: Workspace.Buffer, activationType: ElementType, productType: ElementType, angleCount: Int
  ) -> (width: Int, type: ElementType) {
    let queryWidth = headCount * headDimension
    let expertsPerToken = experts?.expertsPerToken ?? 0
    return switch buffer {
    case .hiddenStates, .branch: (hiddenSize, .float32)
    case .normed: (hiddenSize, productType)
    case .projected: (queryWidth + 2 * keyValueHeadCount * headDimension, .float32)
    case .queries, .sinkQueries, .attended: (queryWidth, activationType)
    case .activated: (intermediateSize, productType)
    case .angles: (angleCount, .float32)
    case .routerLogits: (experts?.expertCount ?? 0, .float32)
    case .expertInputs: (expertsPerToken * hiddenSize, productType)
    case .expertActivated: (expertsPerToken * (experts?.intermediateSize ?? 0), productType)
    case .expertOutputs: (expertsPerToken * hiddenSize, .float32)
    }
  }
}

internal import FoveaCore
internal import FoveaSafetensors

extension WeightSource {
  /// The experts of a layer, one block each; `name` leads to the tensors of ``ExpertNames``.
  func experts(
    _ names: ExpertNames, _ settings: ExpertConfiguration, hiddenSize: Int, hasBias: Bool, name: (String) -> String
  ) throws -> [GatedBlock] {
    if let blocks = try quantizedExperts(names, settings, hiddenSize: hiddenSize, name: name) { return blocks }
    if names.isTransposed { return try transposedExperts(name(names.folder), settings, hiddenSize: hiddenSize) }
    let size = settings.intermediateSize
    // Checkpoints of the hub have a matrix an expert; transformers 5 holds, and may save, one tensor for all.
    let fused = name(names.folder) + ".gate_up_proj"
    guard checkpoint.contains(fused) else {
      return try (0..<settings.expertCount).map { expert in
        let folder = "\(name(names.folder)).\(expert)."
        return GatedBlock(
          gate: try linear(folder + names.gateProjection, size, hiddenSize, hasBias: hasBias),
          up: try linear(folder + names.upProjection, size, hiddenSize, hasBias: hasBias),
          down: try linear(folder + names.downProjection, hiddenSize, size, hasBias: hasBias))
      }
    }
    let gateUp = try matrixTensor(fused, [settings.expertCount, 2 * size, hiddenSize])
    let down = try matrixTensor(name(names.folder) + ".down_proj", [settings.expertCount, hiddenSize, size])
    return (0..<settings.expertCount).map { expert in
      let rows = gateUp.sliced(axis: 0, expert..<expert + 1).reshaped([2 * size, hiddenSize])
      return GatedBlock(
        gate: linear(weight: rows.sliced(axis: 0, 0..<size)),
        up: linear(weight: rows.sliced(axis: 0, size..<2 * size)),
        down: linear(
          weight: down.sliced(axis: 0, expert..<expert + 1).reshaped([hiddenSize, size])))
    }
  }

  /// gpt-oss's experts: `[expertCount, inputs, outputs]`, columns of gate and up in turn. The kernels read rows along the
  /// inputs, so these are copied, which takes the memory of one model more.
  private func transposedExperts(
    _ folder: String, _ settings: ExpertConfiguration, hiddenSize: Int
  ) throws -> [GatedBlock] {
    let count = settings.expertCount
    let size = settings.intermediateSize
    let gateUp = try matrixTensor(folder + ".gate_up_proj", [count, hiddenSize, 2 * size])
    let gateUpBias = try tensor(folder + ".gate_up_proj_bias", [count, 2 * size])
    let down = try matrixTensor(folder + ".down_proj", [count, size, hiddenSize])
    let downBias = try tensor(folder + ".down_proj_bias", [count, hiddenSize])

    /// The columns of one expert's matrix from `first` on in steps of `step`, as rows.
    func rows(_ stack: Tensor, _ expert: Int, first: Int = 0, step: Int = 1) -> Tensor {
      let matrix = stack.sliced(axis: 0, expert..<expert + 1)
      return stack.elementType == .float32
        ? matrix.columnsAsRows(UInt32.self, first: first, step: step)
        : matrix.columnsAsRows(UInt16.self, first: first, step: step)
    }
    func bias(_ stack: Tensor, _ expert: Int, first: Int = 0, step: Int = 1) -> Tensor {
      let values = stack.sliced(axis: 0, expert..<expert + 1).floats()
      let taken = stride(from: first, to: values.count, by: step).map { values[$0] }
      return Tensor(taken, shape: [taken.count])
    }
    return (0..<count).map { expert in
      GatedBlock(
        gate: linear(weight: rows(gateUp, expert, step: 2), bias: bias(gateUpBias, expert, step: 2)),
        up: linear(
          weight: rows(gateUp, expert, first: 1, step: 2), bias: bias(gateUpBias, expert, first: 1, step: 2)),
        down: linear(weight: rows(down, expert), bias: bias(downBias, expert)))
    }
  }
}

extension WeightSource {
  private func linear(weight: Tensor, bias: Tensor? = nil) -> LinearWeights {
    linear(WeightMatrix(tensor: weight, codes: nil), bias: bias)
  }
}

extension Tensor {
  /// Columns `first`, `first` + `step`… of a contiguous `[1, inputs, columns]` tensor as the rows of a new one; `Bits` has
  /// the width of an element.
  fileprivate func columnsAsRows<Bits: BitwiseCopyable>(_: Bits.Type, first: Int, step: Int) -> Tensor {
    let (inputCount, columnCount) = (shape[1], shape[2])
    let result = Tensor(uninitialized: [columnCount / step, inputCount], elementType: elementType)
    let source = baseAddress
    let target = result.baseAddress
    let width = MemoryLayout<Bits>.size
    for row in 0..<columnCount / step {
      for input in 0..<inputCount {
        let bits = source.loadUnaligned(
          fromByteOffset: (input * columnCount + first + row * step) * width, as: Bits.self)
        target.storeBytes(of: bits, toByteOffset: (row * inputCount + input) * width, as: Bits.self)
      }
    }
    return result
  }
}

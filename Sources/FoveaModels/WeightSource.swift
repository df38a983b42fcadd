internal import FoveaCore
internal import FoveaSafetensors

/// Takes tensors out of a checkpoint in the types that the kernels read.
struct WeightSource {
  let checkpoint: Checkpoint
  private static let readableTypes: [ElementType] = [.float32, .float16, .bfloat16]

  /// A matrix as stored.
  func matrix(_ name: String, _ shape: [Int]) throws -> Tensor {
    try checkpoint.tensor(name, shape: shape, elementTypes: Self.readableTypes)
  }

  /// A vector widened to float32: small, and read once a row.
  func vector(_ name: String, size: Int) throws -> Tensor {
    let stored = try checkpoint.tensor(name, shape: [size], elementTypes: Self.readableTypes)
    return Tensor(stored.floats(), shape: [size])
  }

  /// A matrix `NAME.weight` with its bias `NAME.bias`.
  func linear(_ name: String, _ outputSize: Int, _ inputSize: Int, hasBias: Bool) throws -> LinearWeights {
    LinearWeights(
      weight: try matrix(name + ".weight", [outputSize, inputSize]),
      bias: hasBias ? try vector(name + ".bias", size: outputSize) : nil)
  }

  /// The matrices that lie one below another in `NAME.weight`, in order, with their parts of `NAME.bias`: views of one
  /// tensor.
  func fusedLinears(_ name: String, _ outputSizes: [Int], _ inputSize: Int, hasBias: Bool) throws -> [LinearWeights] {
    let whole = try linear(name, outputSizes.reduce(0, +), inputSize, hasBias: hasBias)
    var first = 0
    return outputSizes.map { size in
      defer { first += size }
      return LinearWeights(
        weight: whole.weight.sliced(axis: 0, first..<first + size),
        bias: whole.bias?.sliced(axis: 0, first..<first + size))
    }
  }

  /// A norm `NAME.weight`, for a LayerNorm with `NAME.bias`.
  func norm(_ name: String, size: Int, kind: NormKind, epsilon: Float) throws -> Norm {
    var weight = try vector(name + ".weight", size: size)
    if kind == .shiftedRootMeanSquare { weight = Tensor(weight.floats().map { 1 + $0 }, shape: [size]) }
    return Norm(weight: weight, bias: kind == .layer ? try vector(name + ".bias", size: size) : nil, epsilon: epsilon)
  }

  /// The experts of a layer, one block each; `name` leads to the tensors of ``ExpertNames``.
  func experts(
    _ names: ExpertNames, _ settings: ExpertConfiguration, hiddenSize: Int, hasBias: Bool, name: (String) -> String
  ) throws -> [GatedBlock] {
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
    let gateUp = try matrix(fused, [settings.expertCount, 2 * size, hiddenSize])
    let down = try matrix(name(names.folder) + ".down_proj", [settings.expertCount, hiddenSize, size])
    return (0..<settings.expertCount).map { expert in
      let rows = gateUp.sliced(axis: 0, expert..<expert + 1).reshaped([2 * size, hiddenSize])
      return GatedBlock(
        gate: LinearWeights(weight: rows.sliced(axis: 0, 0..<size), bias: nil),
        up: LinearWeights(weight: rows.sliced(axis: 0, size..<2 * size), bias: nil),
        down: LinearWeights(
          weight: down.sliced(axis: 0, expert..<expert + 1).reshaped([hiddenSize, size]), bias: nil))
    }
  }

  /// gpt-oss's experts: `[expertCount, inputs, outputs]`, columns of gate and up in turn. The kernels read rows along the
  /// inputs, so these are copied, which takes the memory of one model more.
  private func transposedExperts(
    _ folder: String, _ settings: ExpertConfiguration, hiddenSize: Int
  ) throws -> [GatedBlock] {
    let count = settings.expertCount
    let size = settings.intermediateSize
    let gateUp = try matrix(folder + ".gate_up_proj", [count, hiddenSize, 2 * size])
    let gateUpBias = try matrix(folder + ".gate_up_proj_bias", [count, 2 * size])
    let down = try matrix(folder + ".down_proj", [count, size, hiddenSize])
    let downBias = try matrix(folder + ".down_proj_bias", [count, hiddenSize])

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
        gate: LinearWeights(weight: rows(gateUp, expert, step: 2), bias: bias(gateUpBias, expert, step: 2)),
        up: LinearWeights(
          weight: rows(gateUp, expert, first: 1, step: 2), bias: bias(gateUpBias, expert, first: 1, step: 2)),
        down: LinearWeights(weight: rows(down, expert), bias: bias(downBias, expert)))
    }
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

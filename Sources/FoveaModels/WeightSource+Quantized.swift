internal import FoveaCore
internal import FoveaSafetensors

extension WeightSource {
  /// The quantised matrices in `NAME.weight`, `NAME.scales` and `NAME.biases`, of `shape` each: `count` of them, or, for
  /// nil, one in tensors without a dimension for it.
  func quantizedMatrices(
    _ name: String, count: Int?, _ shape: [Int], scheme: QuantizationScheme
  ) throws -> [WeightMatrix] {
    let (rowCount, columnCount) = (shape[0], shape[1])
    guard columnCount % scheme.groupSize == 0 else {
      throw SafetensorsError(
        .wrongShape, file: checkpoint.folder, tensor: name + ".scales",
        "belongs to a matrix of \(columnCount) columns, which groups of \(scheme.groupSize) do not divide")
    }
    let outer = count.map { [$0] } ?? []
    let words = try checkpoint.tensor(
      name + ".weight", shape: outer + [rowCount, columnCount * scheme.bits / 32], elementTypes: [.uint32])
    let groupShape = outer + [rowCount, columnCount / scheme.groupSize]
    let scales = try checkpoint.tensor(
      name + ".scales", shape: groupShape, elementTypes: scheme.mode == .mxfp4 ? [.uint8] : Self.readableTypes)
    let biases =
      scheme.mode == .mxfp4
      ? nil
      : try checkpoint.tensor(name + ".biases", shape: groupShape, elementTypes: [scales.elementType])
    return (0..<(count ?? 1)).map { index in
      func part(_ tensor: Tensor) -> Tensor { count == nil ? tensor : tensor.part(index) }
      return WeightMatrix(
        tensor: part(words),
        codes: WeightMatrix.Codes(scheme: scheme, scales: part(scales), biases: biases.map(part)))
    }
  }

  /// The experts of a layer where they lie in tensors for all of them: MLX's `switch_mlp`, or gpt-oss's blocks of
  /// mxfp4; nil where they do not.
  func quantizedExperts(
    _ names: ExpertNames, _ settings: ExpertConfiguration, hiddenSize: Int, name: (String) -> String
  ) throws -> [GatedBlock]? {
    let folder = name(names.folder)
    if checkpoint.contains(folder + ".gate_up_proj_blocks") {
      return try blockExperts(folder, settings, hiddenSize: hiddenSize)
    }
    // MLX puts the matrices of all experts together under its own names, gpt-oss's under the checkpoint's.
    let parent = folder.split(separator: ".").dropLast().joined(separator: ".")
    guard let quantization,
      let stack = [parent + ".switch_mlp", folder].first(where: { checkpoint.contains($0 + ".gate_proj.scales") })
    else { return nil }
    func linears(_ part: String, _ outputSize: Int, _ inputSize: Int) throws -> [LinearWeights] {
      let name = "\(stack).\(part)"
      let matrices = try quantizedMatrices(
        name, count: settings.expertCount, [outputSize, inputSize], scheme: quantization.scheme(of: name))
      guard names.isTransposed else { return matrices.map { LinearWeights(matrix: $0) } }
      let biases = try tensor(name + ".bias", [settings.expertCount, outputSize])
      return matrices.enumerated().map {
        LinearWeights(matrix: $1, bias: Tensor(biases.part($0).floats(), shape: [outputSize]))
      }
    }
    let size = settings.intermediateSize
    let gates = try linears("gate_proj", size, hiddenSize)
    let ups = try linears("up_proj", size, hiddenSize)
    let downs = try linears("down_proj", hiddenSize, size)
    return gates.indices.map { GatedBlock(gate: gates[$0], up: ups[$0], down: downs[$0]) }
  }

  /// gpt-oss's experts as published: blocks of 32 codes in 16 bytes, rows of gate and up in turn.
  private func blockExperts(
    _ folder: String, _ settings: ExpertConfiguration, hiddenSize: Int
  ) throws -> [GatedBlock] {
    let (count, size) = (settings.expertCount, settings.intermediateSize)
    /// The matrices of all experts, `interleaved` in one another row by row.
    func linears(_ part: String, _ rowCount: Int, _ columnCount: Int, interleaved: Int) throws -> [[LinearWeights]] {
      let groupCount = columnCount / 32
      let shape = [count, rowCount * interleaved, groupCount]
      let blocks = try checkpoint.tensor("\(folder).\(part)_blocks", shape: shape + [16], elementTypes: [.uint8])
      let scales = try checkpoint.tensor("\(folder).\(part)_scales", shape: shape, elementTypes: [.uint8])
      let biases = try tensor("\(folder).\(part)_bias", [count, rowCount * interleaved])
      return (0..<count).map { expert in
        (0..<interleaved).map { first in
          let bias = biases.part(expert).floats()
          return LinearWeights(
            matrix: WeightMatrix(
              tensor: blocks.part(expert).reshaped([rowCount * interleaved, groupCount * 16])
                .rows(from: first, step: interleaved),
              codes: WeightMatrix.Codes(
                scheme: .mxfp4, scales: scales.part(expert).rows(from: first, step: interleaved), biases: nil)),
            bias: Tensor(stride(from: first, to: bias.count, by: interleaved).map { bias[$0] }, shape: [rowCount]))
        }
      }
    }
    let gateUps = try linears("gate_up_proj", size, hiddenSize, interleaved: 2)
    let downs = try linears("down_proj", hiddenSize, size, interleaved: 1)
    return gateUps.indices.map { GatedBlock(gate: gateUps[$0][0], up: gateUps[$0][1], down: downs[$0][0]) }
  }
}

extension Tensor {
  /// The part at `index` of the first axis, without that axis.
  fileprivate func part(_ index: Int) -> Tensor {
    sliced(axis: 0, index..<index + 1).reshaped(Array(shape.dropFirst()))
  }

  /// Every `step`-th row of a matrix from `first` on.
  fileprivate func rows(from first: Int, step: Int) -> Tensor {
    Tensor(
      storage: storage, byteOffset: byteOffset + first * strides[0] * elementType.byteCount, elementType: elementType,
      shape: [shape[0] / step, shape[1]], strides: [strides[0] * step, strides[1]])
  }
}

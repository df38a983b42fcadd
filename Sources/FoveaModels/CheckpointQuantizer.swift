internal import FoveaCore
internal import FoveaSafetensors

/// Rounds the matrices of a checkpoint to codes in MLX's layout, which mlx-lm reads too.
struct CheckpointQuantizer {
  private let checkpoint: Checkpoint
  private let plan: [PlannedTensor]
  private let shards: [[PlannedTensor]]
  /// What config.json says of the result.
  let quantization: QuantizationConfiguration

  /// A tensor of the checkpoint and what becomes of it.
  private struct PlannedTensor {
    let name: String
    let shape: [Int]
    let elementType: ElementType
    /// Nil: it stays as it is.
    let scheme: QuantizationScheme?

    var inputByteCount: Int { shape.reduce(elementType.byteCount, *) }

    var outputByteCount: Int {
      guard let scheme else { return inputByteCount }
      let count = shape.reduce(1, *)
      return count * scheme.bits / 8 + 2 * count / scheme.groupSize * elementType.byteCount
    }
  }

  /// The bytes of a shard, as far as tensors allow: what is held in memory at once.
  private static let shardByteCount = 2 << 30

  /// Plans what becomes of every tensor.
  ///
  /// - Throws: ``ModelError`` if the checkpoint is quantised already or no matrix can be.
  init(folder: String, configuration: ModelConfiguration, rule: QuantizationRule, checkpoint: Checkpoint) throws {
    guard configuration.quantization == nil, !checkpoint.names.contains(where: { $0.hasSuffix("_blocks") }) else {
      throw ModelError(.unsupportedFeature, file: folder, "is quantised already; start from the original weights")
    }
    self.checkpoint = checkpoint
    let names = WeightNames(configuration.family.traits.names, contains: checkpoint.contains)
    var overrides: [String: QuantizationScheme] = [:]
    var plan: [PlannedTensor] = []
    for name in checkpoint.names {
      let tensor = try checkpoint.tensor(name)
      var scheme: QuantizationScheme?
      if name.hasSuffix(".weight"), tensor.shape.count == 2, WeightSource.readableTypes.contains(tensor.elementType) {
        let path = String(name.dropLast(".weight".count))
        // The choice of experts is sensitive, and its matrix small.
        let isRouter = path.hasSuffix("." + names.layer.router)
        let wanted = rule.scheme(of: path, layerCount: configuration.layerCount, names: names)
        if !isRouter, tensor.shape[1] % wanted.groupSize == 0 {
          scheme = wanted
          if wanted != rule.scheme { overrides[path] = wanted }
        }
      }
      plan.append(
        PlannedTensor(name: name, shape: tensor.shape, elementType: tensor.elementType, scheme: scheme))
    }
    guard plan.contains(where: { $0.scheme != nil }) else {
      throw ModelError(
        .unsupportedFeature, file: folder, "has no matrix whose rows groups of \(rule.scheme.groupSize) divide")
    }
    self.plan = plan
    quantization = QuantizationConfiguration(scheme: rule.scheme, overrides: overrides)
    var shards: [[PlannedTensor]] = [[]]
    var size = 0
    for tensor in plan {
      if size > 0, size + tensor.outputByteCount > Self.shardByteCount {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(tensor)
      size += tensor.outputByteCount
    }
    self.shards = shards
  }

  /// The bytes of all tensors before and after.
  var byteCounts: (before: Int, after: Int) {
    (plan.reduce(0) { $0 + $1.inputByteCount }, plan.reduce(0) { $0 + $1.outputByteCount })
  }

  /// Writes the safetensors files to `folder`, with an index if there are several; `progress` gets the share done.
  func write(to folder: String, stream: ComputeStream, progress: (Double) throws -> Void) throws {
    let total = Double(byteCounts.before)
    var done = 0
    var index: [String: String] = [:]
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    for (number, shard) in shards.enumerated() {
      var tensors: [String: Tensor] = [:]
      for planned in shard {
        let tensor = try checkpoint.tensor(planned.name)
        if let scheme = planned.scheme {
          let codes = stream.run { tensor.quantized(scheme, on: stream) }
          let path = planned.name.dropLast("weight".count)
          tensors[planned.name] = codes.tensor
          tensors[path + "scales"] = codes.codes?.scales
          tensors[path + "biases"] = codes.codes?.biases
        } else {
          tensors[planned.name] = tensor
        }
        done += planned.inputByteCount
        try progress(Double(done) / total)
      }
      let file =
        shards.count == 1
        ? Checkpoint.singleFileName : "model-\(digits(number + 1))-of-\(digits(shards.count)).safetensors"
      for name in tensors.keys { index[name] = file }
      try SafetensorsWriter.write(tensors, metadata: ["format": "mlx"], to: folder + "/" + file)
    }
    guard shards.count > 1 else { return }
    let map = index.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)): \(jsonQuoted($0.value))" }
    let text =
      "{\"metadata\": {\"total_size\": \(byteCounts.after)}, \"weight_map\": {\n\(map.joined(separator: ",\n"))\n}}\n"
    try writeWhole(text, to: folder + "/" + Checkpoint.indexFileName)
  }
}

/// Which scheme each matrix gets.
public struct QuantizationRule: Sendable, Equatable {
  /// That of most matrices.
  public let scheme: QuantizationScheme
  /// The width for the output matrix, and for the projections of values and down projections of the first and last
  /// eighth of the layers and of every third between them: mlx-lm's rule for mixed widths.
  public let higherBits: Int?

  /// - Precondition: `higherBits` is an allowed width.
  public init(scheme: QuantizationScheme, higherBits: Int? = nil) {
    precondition(higherBits.map { QuantizationScheme.allowedBits.contains($0) } ?? true)
    self.scheme = scheme
    self.higherBits = higherBits
  }

  func scheme(of path: String, layerCount: Int, names: WeightNames) -> QuantizationScheme {
    guard let higherBits else { return scheme }
    let higher = QuantizationScheme(bits: higherBits, groupSize: scheme.groupSize)
    if path == names.head || path == names.embedding { return higher }
    let layerPrefix = names.prefix + "layers."
    guard path.hasPrefix(layerPrefix), let layer = Int(path.dropFirst(layerPrefix.count).prefix { $0 != "." }) else {
      return scheme
    }
    let eighth = layerCount / 8
    let isChosen = layer < eighth || layer >= 7 * layerCount / 8 || (layer - eighth) % 3 == 2
    let parts = [names.layer.valueProjection, names.layer.fusedProjections, names.layer.downProjection, "down_proj"]
    return isChosen && parts.contains { $0.map { path.hasSuffix("." + $0) } ?? false } ? higher : scheme
  }
}

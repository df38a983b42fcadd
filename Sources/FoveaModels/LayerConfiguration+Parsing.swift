internal import FoveaCore

extension LayerConfiguration {
  /// What `sliding_window` counts.
  enum WindowReach {
    /// A token and those before it.
    case behind
    /// Those before a token, and as many behind it, where attention is made to go both ways by `is_causal`.
    case bothWays
    /// All of those, in Gemma 3 of both ways.
    case half

    /// The window as ``LayerConfiguration/window`` has it.
    func window(_ setting: Int, contextLength: Int) -> Int? {
      let window = self == .half ? setting / 2 + 1 : setting
      // A window at least as long as the context hides nothing.
      guard window < contextLength else { return nil }
      return self == .bothWays ? window + 1 : window
    }
  }

  /// The layers of a model, first to last.
  static func all(
    _ settings: ConfigurationReader, traits: FamilyTraits, layerCount: Int, contextLength: Int, reach: WindowReach
  ) throws(ModelError) -> [LayerConfiguration] {
    let hasRotary = try rotaryLayers(settings, traits: traits, layerCount: layerCount)
    let isWindowed = try windowedLayers(settings, traits: traits, hasRotary: hasRotary)
    let isDense = try denseLayers(settings, traits: traits, layerCount: layerCount)
    let setting = try windowLength(settings, traits: traits)
    let window = setting.flatMap { reach.window($0, contextLength: contextLength) }
    if setting == nil, let layer = isWindowed.firstIndex(of: true) {
      throw ModelError(
        .invalidSetting, file: settings.file,
        "layer \(layer) is windowed by its kind, so '\(settings.prefix)sliding_window' must be a positive integer that is "
          + "switched on")
    }
    return (0..<layerCount).map { layer in
      LayerConfiguration(
        window: isWindowed[layer] ? window : nil,
        rotaryIndex: hasRotary[layer] ? (isWindowed[layer] && traits.windowRotaryBase != nil ? 1 : 0) : nil,
        feedForward: isDense[layer] ? .gated : traits.feedForward)
    }
  }

  /// `sliding_window`, unless the family has none or it is switched off. In SmolLM 3 the switch decides only where
  /// `layer_types` does not.
  private static func windowLength(
    _ settings: ConfigurationReader, traits: FamilyTraits
  ) throws(ModelError) -> Int? {
    if case .none = traits.window { return nil }
    let isOn = try settings.bool("use_sliding_window") ?? false
    let isOff = traits.hasWindowSwitch && !isOn
    if isOff {
      guard case .layersWithoutRotary = traits.window, settings.hasWindowedTypes else { return nil }
    }
    guard settings.hasKey("sliding_window") else { return traits.windowLength }
    return try settings.integer("sliding_window", in: 1...Int.max)
  }

  private static func windowedLayers(
    _ settings: ConfigurationReader, traits: FamilyTraits, hasRotary: [Bool]
  ) throws(ModelError) -> [Bool] {
    let layerCount = hasRotary.count
    if let types = try layerTypes(settings, traits: traits, layerCount: layerCount) { return types }
    let hasWindow = try windowLength(settings, traits: traits) != nil
    switch traits.window {
    case .none: return [Bool](repeating: false, count: layerCount)
    case .allLayers: return [Bool](repeating: hasWindow, count: layerCount)
    case .exceptEvery(let key, let absent):
      var period = absent
      if let key { period = try settings.integer(key, in: 1...Int.max) ?? absent }
      return (0..<layerCount).map { ($0 + 1) % period != 0 }
    case .fromLayer(let key, let absent):
      let first = try settings.integer(key, in: 0...Int.max) ?? absent
      return (0..<layerCount).map { hasWindow && $0 >= first }
    case .layersWithoutRotary: return hasRotary.map { hasWindow && !$0 }
    }
  }

  /// Whether each layer is windowed, as `layer_types` says; nil if the key is absent or means nothing to the family.
  private static func layerTypes(
    _ settings: ConfigurationReader, traits: FamilyTraits, layerCount: Int
  ) throws(ModelError) -> [Bool]? {
    guard let value = settings["layer_types"] else { return nil }
    guard case .array(let kinds) = value else { throw settings.invalid("layer_types", "a list", value) }
    let known: [JSONValue] =
      traits.window.readsLayerTypes
      ? [.string("full_attention"), .string(slidingAttention)] : [.string("full_attention")]
    if let kind = kinds.first(where: { !known.contains($0) }) {
      let names = traits.window.readsLayerTypes ? "full and sliding attention" : "full attention in this family"
      throw settings.unsupported("'\(settings.prefix)layer_types' holds \(kind.summary); Fovea has \(names) only")
    }
    guard traits.window.readsLayerTypes else { return nil }
    guard kinds.count == layerCount else {
      throw settings.invalid("layer_types", "a list of 'num_hidden_layers' (\(layerCount)) names", value)
    }
    return kinds.map { $0 == .string(slidingAttention) }
  }

  fileprivate static let slidingAttention = "sliding_attention"

  /// Whether each layer turns queries and keys: `no_rope_layers`, in which 0 means not, else all but every
  /// `no_rope_layer_interval`-th.
  private static func rotaryLayers(
    _ settings: ConfigurationReader, traits: FamilyTraits, layerCount: Int
  ) throws(ModelError) -> [Bool] {
    guard traits.skipsRotaryInSomeLayers else { return [Bool](repeating: true, count: layerCount) }
    guard let value = settings["no_rope_layers"] else {
      let interval = try settings.integer("no_rope_layer_interval", in: 1...Int.max) ?? 4
      return (0..<layerCount).map { ($0 + 1) % interval != 0 }
    }
    guard case .array(let flags) = value, flags.count >= layerCount,
      flags.allSatisfy({ $0.integer == 0 || $0.integer == 1 })
    else { throw settings.invalid("no_rope_layers", "a list of 0 or 1 for each of \(layerCount) layers", value) }
    return flags.prefix(layerCount).map { $0.integer == 1 }
  }

  /// Whether each layer has one gated block though the family has experts.
  private static func denseLayers(
    _ settings: ConfigurationReader, traits: FamilyTraits, layerCount: Int
  ) throws(ModelError) -> [Bool] {
    guard traits.experts?.hasDenseLayers == true else { return [Bool](repeating: false, count: layerCount) }
    let step = try settings.integer("decoder_sparse_step", in: 1...Int.max) ?? 1
    var isDense = (0..<layerCount).map { ($0 + 1) % step != 0 }
    guard let value = settings["mlp_only_layers"] else { return isDense }
    guard case .array(let elements) = value else { throw settings.invalid("mlp_only_layers", "a list", value) }
    for element in elements {
      guard let layer = element.integer else { throw settings.invalid("mlp_only_layers", "a list of layers", element) }
      if isDense.indices.contains(layer) { isDense[layer] = true }
    }
    return isDense
  }
}

extension ConfigurationReader {
  /// Whether `layer_types` names a windowed layer.
  fileprivate var hasWindowedTypes: Bool {
    guard case .array(let kinds)? = self["layer_types"] else { return false }
    return kinds.contains(.string(LayerConfiguration.slidingAttention))
  }
}

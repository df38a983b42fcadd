extension ModelConfiguration {
  /// How the model differs from Llama's first, one short phrase each, for people.
  public var features: [String] {
    let names = family.traits.names
    var features: [String] = []
    func add(_ condition: Bool, _ phrase: @autoclosure () -> String) { if condition { features.append(phrase()) } }
    /// Nothing if all layers are concerned, else how many.
    func share(_ count: Int) -> String { count == layerCount ? "" : " in \(count) of \(layerCount) layers" }

    add(isBidirectional, "attention both ways")
    if let window = layers.lazy.compactMap(\.window).first {
      features.append("sliding window of \(window)" + share(layers.count { $0.window != nil }))
    }
    let rotaryLayerCount = layers.count { $0.rotaryIndex != nil }
    add(rotaryLayerCount < layerCount, "rotary positions" + share(rotaryLayerCount))
    for (index, rotary) in rotaries.enumerated() where rotary.scaling != .none {
      features.append(
        "rotary scaling \(rotary.scaling.name)"
          + (rotaries.count > 1 ? share(layers.count { $0.rotaryIndex == index }) : ""))
    }
    add(rotary.partialFactor != 1, "\(rotary.rotaryDimension(headDimension: headDimension)) values of a head turned")
    switch queryKeyNorm {
    case .none: break
    case .heads: features.append("query and key norms by head")
    case .width: features.append("query and key norms over all heads")
    }
    add(names.sinks != nil, "attention sinks")
    if let attentionSoftCap { features.append("scores soft-capped at \(attentionSoftCap)") }
    if let logitSoftCap { features.append("logits soft-capped at \(logitSoftCap)") }
    switch normKind {
    case .rootMeanSquare: break
    case .shiftedRootMeanSquare: features.append("norms by 1 + weight")
    case .layer: features.append("LayerNorm")
    }
    if names.attentionOutputNorm != nil {
      features.append(names.attentionNorm == nil ? "norms after blocks only" : "norms before and after blocks")
    }
    if let experts {
      features.append(
        "\(experts.expertsPerToken) of \(experts.expertCount) experts"
          + share(layers.count { $0.feedForward == .experts }))
    }
    add(family.traits.feedForward == .plain, "feed-forward without a gate")
    switch activation {
    case .silu: break
    case .gelu: features.append("GELU")
    case .geluTanh: features.append("GELU by tanh")
    case .clampedSwish(_, let limit): features.append("activation clamped at \(limit)")
    }
    let biases = (attentionBias ? ["attention"] : []) + (feedForwardBias ? ["feed-forward"] : [])
    add(!biases.isEmpty, "biases in \(biases.joined(separator: " and "))")
    add(
      [embeddingMultiplier, residualMultiplier, logitMultiplier] != [1, 1, 1],
      "embeddings × \(embeddingMultiplier), residuals × \(residualMultiplier), logits × \(logitMultiplier)")
    return features
  }
}

extension RotaryConfiguration.Scaling {
  /// As config.json calls it, with the factor where there is one.
  fileprivate var name: String {
    switch self {
    case .none: "default"
    case .linear(let factor): "linear × \(factor)"
    case .dynamic(let factor, _): "dynamic × \(factor)"
    case .yarn(let yarn): "yarn × \(yarn.factor)"
    case .llama3(let llama3): "llama3 × \(llama3.factor)"
    case .long(let long): "longrope beyond \(long.originalContextLength)"
    }
  }
}

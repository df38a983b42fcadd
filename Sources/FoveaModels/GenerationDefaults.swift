/// What generation_config.json recommends for sampling; nil where it says nothing.
public struct GenerationDefaults: Sendable, Equatable {
  /// Whether to sample rather than to take the likeliest token (`do_sample`).
  public var samples: Bool?
  /// What logits are divided by; 0 or more.
  public var temperature: Double?
  /// How many of the likeliest tokens to sample from; 0 for all.
  public var topK: Int?
  /// The least probability that the tokens sampled from have together; above 0, at most 1.
  public var topP: Double?

  /// The name of the file in a model's folder.
  public static let fileName = "generation_config.json"

  /// Nothing recommended.
  public init() {}

  init(_ settings: ConfigurationReader) throws(ModelError) {
    samples = try settings.bool("do_sample")
    temperature = try settings.number("temperature", "a non-negative number", where: { $0 >= 0 })
    topK = try settings.integer("top_k", in: 0...Int.max)
    topP = try settings.number("top_p", "a number above 0 and at most 1", where: { $0 > 0 && $0 <= 1 })
  }
}

// Stand-in for the models of the merge: reads the sizes in config.json and makes up logits.
public import FoveaCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Stand-in.
public enum Precision: String, Sendable, CaseIterable { case native, float32 }

/// Stand-in.
public enum LogitSelection: Sendable { case none, last, all }

/// Stand-in.
public struct PlaceholderError: FoveaError {
  public let category: FaultCategory
  public let description: String
}

/// Stand-in.
public struct ModelConfiguration: Sendable, Decodable {
  public let modelType: String
  public let hiddenSize: Int
  public let intermediateSize: Int
  public let layerCount: Int
  public let headCount: Int
  public let keyValueHeadCount: Int
  public let headDimension: Int
  public let vocabularySize: Int
  public let contextLength: Int
  public let beginningOfTextToken: Int?
  private let endOfTextToken: Int?
  public var endOfTextTokens: [Int] { endOfTextToken.map { [$0] } ?? [] }
  public let tiesEmbeddings: Bool

  enum CodingKeys: String, CodingKey {
    case modelType = "model_type"
    case hiddenSize = "hidden_size"
    case intermediateSize = "intermediate_size"
    case layerCount = "num_hidden_layers"
    case headCount = "num_attention_heads"
    case keyValueHeadCount = "num_key_value_heads"
    case headDimension = "head_dim"
    case vocabularySize = "vocab_size"
    case contextLength = "max_position_embeddings"
    case beginningOfTextToken = "bos_token_id"
    case endOfTextToken = "eos_token_id"
    case tiesEmbeddings = "tie_word_embeddings"
  }
}

/// Stand-in.
public final class KeyValueCache {
  public fileprivate(set) var length = 0
  public var byteCount: Int { 0 }
  public func trim(to length: Int) { self.length = length }
}

/// Stand-in.
public final class DecoderModel: Sendable {
  public let configuration: ModelConfiguration
  public let stream: ComputeStream
  public let precision: Precision
  public var cacheByteCountPerPosition: Int { 4096 }
  public var parameterCount: Int { 14_555_520 }
  public var weightByteCount: Int { 29_111_040 }
  public var elementTypeByteCounts: [ElementType: Int] { [.bfloat16: 29_111_040] }

  private init(configuration: ModelConfiguration, precision: Precision, stream: ComputeStream) {
    self.configuration = configuration
    self.precision = precision
    self.stream = stream
  }

  public static func load(
    folder: String, precision: Precision = .native, stream: ComputeStream
  ) throws -> DecoderModel {
    guard let data = FileManager.default.contents(atPath: folder + "/config.json") else {
      throw PlaceholderError(category: .missingInput, description: "\(folder)/config.json: cannot be read")
    }
    return DecoderModel(
      configuration: try JSONDecoder().decode(ModelConfiguration.self, from: data), precision: precision,
      stream: stream)
  }

  public func makeCache() -> KeyValueCache { KeyValueCache() }

  public func evaluate(_ tokens: [Int], cache: KeyValueCache, logits: LogitSelection = .last) throws -> Tensor {
    cache.length += tokens.count
    var values = [Float](repeating: -8, count: configuration.vocabularySize)
    let preferred = 100 + ((tokens.last ?? 0) * 31 + cache.length * 17) % 26
    values[preferred] = 4
    values[3 + 32] = 3
    return Tensor(values, shape: [1, values.count])
  }
}

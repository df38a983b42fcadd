import ArgumentParser
import Fovea

/// In which form a cache holds keys and values.
struct CacheFormatOptions: ParsableArguments {
  enum CacheType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case float16
    case bfloat16

    var elementType: ElementType {
      switch self {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      }
    }
  }

  @Option(help: "The type of keys and values in the cache (default: the model's).")
  var cacheType: CacheType?

  @Option(
    help: ArgumentHelp(
      "Hold keys and values in codes of 8 or 4 bits, but for those of the last 256 tokens at most.", valueName: "n"))
  var cacheBits: Int?

  @Option(
    help: ArgumentHelp(
      "How many codes of the cache share a scale and a bias, 32 or 64 (default: "
        + "\(CacheQuantization.defaultGroupSize)).", valueName: "n"))
  var cacheGroupSize: Int?

  func validate() throws {
    guard cacheGroupSize == nil || cacheBits != nil else {
      throw ValidationError("--cache-group-size needs --cache-bits")
    }
    do {
      _ = try format()
    } catch {
      throw ValidationError(error.message)
    }
  }

  /// What the options say.
  ///
  /// - Throws: ``ModelError`` for numbers that there are not; they are then refused before a command runs.
  func format() throws(ModelError) -> CacheFormat {
    var format = CacheFormat(elementType: cacheType?.elementType)
    if let cacheBits {
      format.quantization = try CacheQuantization(
        bits: cacheBits, groupSize: cacheGroupSize ?? CacheQuantization.defaultGroupSize)
    }
    return format
  }
}

import ArgumentParser
import Fovea

/// In how many bits a cache holds keys and values.
struct CacheCodeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Hold keys and values in codes of 8 or 4 bits, but for the last 256 tokens or fewer (default: the model's type).",
      valueName: "n"))
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
      _ = try quantization()
    } catch {
      throw ValidationError(error.message)
    }
  }

  /// What the options say; nil: no codes.
  func quantization() throws(ModelError) -> CacheQuantization? {
    guard let cacheBits else { return nil }
    return try CacheQuantization(bits: cacheBits, groupSize: cacheGroupSize ?? CacheQuantization.defaultGroupSize)
  }
}

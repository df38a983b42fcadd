internal import FoveaCore

/// How positions turn the pairs of queries and keys (rotary embeddings; Su et al. 2021, arXiv 2104.09864).
public struct RotaryConfiguration: Sendable, Equatable {
  /// How frequencies are stretched for contexts longer than the model was first trained on.
  public enum Scaling: Sendable, Equatable {
    /// Not at all (`default`).
    case none
    /// All by one factor (`linear`).
    case linear(factor: Double)
    /// By a base that grows with the length of the text, beyond `originalContextLength` only (`dynamic`).
    case dynamic(factor: Double, originalContextLength: Int)
    /// By wavelength: short ones not, long ones by a factor, with a ramp between (`yarn`).
    case yarn(YarnScaling)
    /// As in Llama 3.1: by wavelength with another ramp (`llama3`).
    case llama3(Llama3Scaling)
    /// By a factor of its own for each pair, one set for texts up to the original length and one beyond (`longrope`).
    case long(LongScaling)
  }

  /// The parameters of YaRN (Peng et al. 2023, arXiv 2309.00071), named as in transformers.
  public struct YarnScaling: Sendable, Equatable {
    /// By how much the longest wavelengths are stretched.
    public var factor: Double
    /// The context length before scaling.
    public var originalContextLength: Int
    /// Rotations over the original context above which a pair is not stretched.
    public var betaFast: Double
    /// Rotations over the original context below which a pair is stretched wholly.
    public var betaSlow: Double
    /// What cosines and sines are multiplied by.
    public var attentionFactor: Double
    /// Whether the ends of the ramp are moved out to whole pairs.
    public var truncates: Bool

    /// Takes all parameters.
    public init(
      factor: Double, originalContextLength: Int, betaFast: Double = 32, betaSlow: Double = 1,
      attentionFactor: Double, truncates: Bool = true
    ) {
      self.factor = factor
      self.originalContextLength = originalContextLength
      self.betaFast = betaFast
      self.betaSlow = betaSlow
      self.attentionFactor = attentionFactor
      self.truncates = truncates
    }
  }

  /// The parameters of Llama 3.1's scaling.
  public struct Llama3Scaling: Sendable, Equatable {
    /// By how much the longest wavelengths are stretched.
    public var factor: Double
    /// The context length before scaling.
    public var originalContextLength: Int
    /// The original context over this is the wavelength above which pairs are stretched wholly.
    public var lowFrequencyFactor: Double
    /// The original context over this is the wavelength below which pairs are not stretched.
    public var highFrequencyFactor: Double

    /// Takes all parameters.
    public init(
      factor: Double, originalContextLength: Int, lowFrequencyFactor: Double, highFrequencyFactor: Double
    ) {
      self.factor = factor
      self.originalContextLength = originalContextLength
      self.lowFrequencyFactor = lowFrequencyFactor
      self.highFrequencyFactor = highFrequencyFactor
    }
  }

  /// The parameters of LongRoPE (Ding et al. 2024, arXiv 2402.13753).
  ///
  /// As in transformers the length of the whole text decides: once it is longer than the original context, every
  /// position turns by the long factors, those before included.
  public struct LongScaling: Sendable, Equatable {
    /// What each pair's wavelength is multiplied by up to the original context.
    public var shortFactors: [Double]
    /// The same beyond it.
    public var longFactors: [Double]
    /// The context length before scaling.
    public var originalContextLength: Int
    /// What cosines and sines are multiplied by, whatever the length.
    public var attentionFactor: Double

    /// Takes all parameters.
    public init(shortFactors: [Double], longFactors: [Double], originalContextLength: Int, attentionFactor: Double) {
      self.shortFactors = shortFactors
      self.longFactors = longFactors
      self.originalContextLength = originalContextLength
      self.attentionFactor = attentionFactor
    }
  }

  /// The base of the frequencies (`rope_theta`).
  public var rotaryBase: Double
  /// Which part of a head is turned (`partial_rotary_factor`), from its first value on.
  public var partialFactor: Double
  /// How frequencies are stretched.
  public var scaling: Scaling

  /// Takes all parameters.
  public init(rotaryBase: Double = 10_000, partialFactor: Double = 1, scaling: Scaling = .none) {
    self.rotaryBase = rotaryBase
    self.partialFactor = partialFactor
    self.scaling = scaling
  }

  /// The positions that a model has whose `max_position_embeddings` is `trainedLength`: `dynamic` states the length
  /// before scaling there, the others that after it.
  func contextLength(_ trainedLength: Int) -> Int {
    guard case .dynamic(let factor, _) = scaling, factor > 1 else { return trainedLength }
    // The factor is bounded (see the parsing), so the product fits.
    return Int(Double(trainedLength) * factor)
  }

  /// The longest text before all positions turn by other frequencies; 0 where that does not happen.
  var switchLength: Int { if case .long(let long) = scaling { long.originalContextLength } else { 0 } }

  /// The number of values of a head that are turned.
  func rotaryDimension(headDimension: Int) -> Int {
    Int(Double(headDimension) * partialFactor)
  }
}

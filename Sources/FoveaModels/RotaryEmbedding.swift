#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The natural logarithm, for files that need nothing else of the C library.
func logarithm(_ x: Double) -> Double { log(x) }

/// Rotary position embeddings (RoFormer, arXiv 2104.09864) in the half-split layout: element i turns with i + n/2.
///
/// Computed as transformers does: inverse frequencies, angles, cosines and sines each rounded to float32.
///
/// Dynamic scaling takes, at position p, the frequencies of a sequence of p + 1 tokens, so that the result does not
/// depend on how a text is cut into calls. transformers does the same when it decodes token by token; where it
/// evaluates a whole text longer than the original context at once, it takes those of the whole length for every token.
package struct RotaryEmbedding: Sendable {
  /// Pairs of elements that are rotated; the rest of the head passes unchanged.
  package let pairCount: Int
  /// What cosines and sines are multiplied by.
  package let attentionFactor: Float
  /// Radians a position, one a pair; those of the original context for dynamic scaling.
  package let inverseFrequencies: [Float]
  private let rotaryDimension: Int
  private let configuration: RotaryConfiguration

  package init(_ configuration: RotaryConfiguration, headDimension: Int, contextLength: Int) {
    self.configuration = configuration
    rotaryDimension = Int(Double(headDimension) * configuration.partialFactor)
    pairCount = rotaryDimension / 2
    let base = configuration.base
    let plain = Self.frequencies(base: base, rotaryDimension: rotaryDimension)
    var attentionFactor = 1.0
    switch configuration.scaling {
    case .standard, .dynamic: inverseFrequencies = plain
    case .linear(let factor): inverseFrequencies = plain.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let original):
      inverseFrequencies = plain.map {
        Self.llama3($0, factor: factor, low: low, high: high, originalContextLength: Double(original))
      }
    case .yarn(let yarn):
      inverseFrequencies = Self.yarn(yarn, plain: plain, base: base, rotaryDimension: rotaryDimension)
      attentionFactor = yarn.attentionFactor
    }
    self.attentionFactor = Float(attentionFactor)
  }

  /// Writes ``pairCount`` cosines and as many sines of the angles at `position`, times the attention factor.
  package func fill(position: Int, cosine: UnsafeMutablePointer<Float>, sine: UnsafeMutablePointer<Float>) {
    let frequencies = self.frequencies(atLength: position + 1)
    for pair in 0..<pairCount {
      let angle = Double(Float(position) * frequencies[pair])
      cosine[pair] = Float(cos(angle)) * attentionFactor
      sine[pair] = Float(sin(angle)) * attentionFactor
    }
  }

  /// The inverse frequencies for a sequence of `length` tokens; only dynamic scaling makes them depend on it.
  package func frequencies(atLength length: Int) -> [Float] {
    guard case .dynamic(let factor, let original) = configuration.scaling, length > original else {
      return inverseFrequencies
    }
    let growth = factor * Double(length) / Double(original) - (factor - 1)
    let exponent = Double(rotaryDimension) / Double(rotaryDimension - 2)
    return Self.frequencies(base: configuration.base * pow(growth, exponent), rotaryDimension: rotaryDimension)
  }

  private static func frequencies(base: Double, rotaryDimension: Int) -> [Float] {
    (0..<rotaryDimension / 2).map { pair in
      Float(1 / pow(base, Double(Float(2 * pair) / Float(rotaryDimension))))
    }
  }

  private static func llama3(
    _ frequency: Float, factor: Double, low: Double, high: Double, originalContextLength: Double
  ) -> Float {
    let wavelength = 2 * Double.pi / Double(frequency)
    if wavelength < originalContextLength / high { return frequency }
    if wavelength > originalContextLength / low { return Float(Double(frequency) / factor) }
    let smooth = (originalContextLength / wavelength - low) / (high - low)
    return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
  }

  private static func yarn(
    _ yarn: RotaryConfiguration.YarnScaling, plain: [Float], base: Double, rotaryDimension: Int
  ) -> [Float] {
    /// The dimension whose angle turns `rotations` times over the original context.
    func dimension(_ rotations: Double) -> Double {
      Double(rotaryDimension) * log(Double(yarn.originalContextLength) / (rotations * 2 * Double.pi)) / (2 * log(base))
    }
    var low = dimension(yarn.betaFast)
    var high = dimension(yarn.betaSlow)
    if yarn.truncates {
      low = low.rounded(.down)
      high = high.rounded(.up)
    }
    low = max(low, 0)
    high = min(high, Double(rotaryDimension - 1))
    // Equal bounds would divide by zero.
    if low == high { high += 0.001 }
    return plain.enumerated().map { pair, frequency in
      let ramp = min(max((Double(pair) - low) / (high - low), 0), 1)
      return Float(Double(frequency) / yarn.factor * ramp + Double(frequency) * (1 - ramp))
    }
  }
}

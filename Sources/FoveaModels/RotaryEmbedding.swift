#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The cosines and sines by which a position turns queries and keys, as transformers computes them in float32.
///
/// Pair i of position p turns by the angle p · f(i), f(i) = base^(−2i/d) before scaling, where d is the rotary
/// dimension. Inverse frequencies, angles, cosines and sines are each rounded to float32; the functions are evaluated in
/// float64 first, so that the results do not depend on the C library.
///
/// With `dynamic` scaling the frequencies of position p are those of a text of p + 1 tokens, as when transformers
/// generates token by token, so that results do not depend on how a prompt is cut. Transformers differs for a prompt
/// longer than the original context given in one call: it turns all its positions by the frequencies of its end.
/// With `longrope` the length of the text chooses one of two sets for all positions; see ``usesLongFactors(textLength:)``.
public struct RotaryEmbedding: Sendable {
  /// The number of values of a head that are turned, from the first on.
  public let rotaryDimension: Int
  /// f(i), up to the original context for `dynamic` and `longrope`.
  package let inverseFrequencies: [Float]
  /// f(i) beyond the original context for `longrope`, else empty.
  private let longInverseFrequencies: [Float]
  /// What cosines and sines are multiplied by.
  package let attentionFactor: Float
  private let configuration: RotaryConfiguration

  /// The number of pairs that are turned: half the rotary dimension.
  public var pairCount: Int { inverseFrequencies.count }

  /// Prepares the frequencies.
  ///
  /// - Parameters:
  ///   - configuration: as a ``ModelConfiguration`` holds it.
  ///   - headDimension: the width of a head; the part that is turned must be even.
  ///   - contextLength: the most positions asked for with rounded angles; they are checked against it in debug builds.
  public init(_ configuration: RotaryConfiguration, headDimension: Int, contextLength: Int) {
    let dimension = configuration.rotaryDimension(headDimension: headDimension)
    precondition(
      dimension > 0 && dimension % 2 == 0, "\(dimension) values of a head cannot be turned in pairs")
    self.configuration = configuration
    self.contextLength = contextLength
    rotaryDimension = dimension
    let base = Self.inverseFrequencies(base: Float(configuration.rotaryBase), dimension: dimension)
    switch configuration.scaling {
    case .none, .dynamic: inverseFrequencies = base
    case .linear(let factor): inverseFrequencies = base.map { $0 / Float(factor) }
    case .yarn(let yarn):
      inverseFrequencies = yarn.inverseFrequencies(base: configuration.rotaryBase, dimension: dimension)
    case .llama3(let llama3): inverseFrequencies = base.map(llama3.scaled)
    case .long(let long):
      inverseFrequencies = long.inverseFrequencies(long.shortFactors, configuration.rotaryBase, dimension)
    }
    longInverseFrequencies =
      if case .long(let long) = configuration.scaling {
        long.inverseFrequencies(long.longFactors, configuration.rotaryBase, dimension)
      } else { [] }
    attentionFactor =
      switch configuration.scaling {
      case .yarn(let yarn): Float(yarn.attentionFactor)
      case .long(let long): Float(long.attentionFactor)
      case .none, .linear, .dynamic, .llama3: 1
      }
  }

  private let contextLength: Int

  /// Whether a text of `textLength` tokens turns by the second of two sets of frequencies: keys of a shorter text are
  /// then not those that a longer one needs.
  public func usesLongFactors(textLength: Int) -> Bool {
    guard case .long(let long) = configuration.scaling else { return false }
    return textLength > long.originalContextLength
  }

  /// Writes ``pairCount`` cosines and as many sines for `position` of a text of `textLength` tokens, or of one that ends
  /// there.
  ///
  /// - Parameters:
  ///   - frequencyIndex: the position that the frequencies may depend on, where it is another one.
  ///   - isExact: whether the angle is not rounded to float32, for positions that may lie in the millions.
  public func fill(
    position: Int, frequencyIndex: Int? = nil, textLength: Int? = nil, isExact: Bool = false,
    cosine: UnsafeMutablePointer<Float>, sine: UnsafeMutablePointer<Float>
  ) {
    assert(
      position >= 0 && (isExact || position < contextLength), "position \(position) of a context of \(contextLength)")
    let frequencies = inverseFrequencies(position: frequencyIndex ?? position, textLength: textLength)
    for (pair, frequency) in frequencies.enumerated() {
      let angle = isExact ? Double(position) * Double(frequency) : Double(Float(position) * frequency)
      // The caller gives room for `pairCount` values in each.
      cosine[pair] = Float(cos(angle)) * attentionFactor
      sine[pair] = Float(sin(angle)) * attentionFactor
    }
  }

  /// The frequencies that `position` turns by in a text of `textLength` tokens, or in one that ends there.
  package func inverseFrequencies(position: Int, textLength: Int? = nil) -> [Float] {
    if usesLongFactors(textLength: textLength ?? position + 1) { return longInverseFrequencies }
    guard case .dynamic(let factor, let original) = configuration.scaling, position >= original else {
      return inverseFrequencies
    }
    // Transformers has the length as an integer tensor, hence float32 from here on.
    let stretch = Float(factor) * Float(position + 1) / Float(original) - Float(factor - 1)
    let exponent = Double(rotaryDimension) / Double(rotaryDimension - 2)
    let base = Float(configuration.rotaryBase) * Float(pow(Double(stretch), exponent))
    return Self.inverseFrequencies(base: base, dimension: rotaryDimension)
  }

  /// base^(−2i/d), with the power and its inverse each rounded to float32.
  fileprivate static func inverseFrequencies(base: Float, dimension: Int) -> [Float] {
    wavelengths(base: base, dimension: dimension).map { 1 / $0 }
  }

  /// base^(2i/d): the wavelengths over 2π.
  fileprivate static func wavelengths(base: Float, dimension: Int) -> [Float] {
    stride(from: 0, to: dimension, by: 2).map { index in
      Float(pow(Double(base), Double(Float(index) / Float(dimension))))
    }
  }
}

extension RotaryConfiguration.Llama3Scaling {
  /// `frequency` where its wavelength is short, divided by the factor where it is long, and between by a ramp.
  fileprivate func scaled(_ frequency: Float) -> Float {
    let original = Double(originalContextLength)
    let wavelength = Float(2 * Double.pi) / frequency
    if wavelength < Float(original / highFrequencyFactor) { return frequency }
    if wavelength > Float(original / lowFrequencyFactor) { return frequency / Float(factor) }
    let smooth =
      (Float(original) / wavelength - Float(lowFrequencyFactor)) / Float(highFrequencyFactor - lowFrequencyFactor)
    return (1 - smooth) * frequency / Float(factor) + smooth * frequency
  }
}

extension RotaryConfiguration.LongScaling {
  fileprivate func inverseFrequencies(_ factors: [Double], _ base: Double, _ dimension: Int) -> [Float] {
    zip(factors, RotaryEmbedding.wavelengths(base: Float(base), dimension: dimension)).map { 1 / (Float($0) * $1) }
  }
}

extension RotaryConfiguration.YarnScaling {
  fileprivate func inverseFrequencies(base: Double, dimension: Int) -> [Float] {
    // The pair that makes `rotations` turns over the original context.
    func pair(rotations: Double) -> Double {
      Double(dimension) * log(Double(originalContextLength) / (rotations * 2 * Double.pi)) / (2 * log(base))
    }
    var low = pair(rotations: betaFast)
    var high = pair(rotations: betaSlow)
    if truncates {
      low = low.rounded(.down)
      high = high.rounded(.up)
    }
    low = max(low, 0)
    high = min(high, Double(dimension - 1))
    // A ramp of no length would divide by zero.
    if low == high { high += 0.001 }

    return RotaryEmbedding.wavelengths(base: Float(base), dimension: dimension).enumerated().map { index, wavelength in
      let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
      let kept = 1 - ramp
      return 1 / (Float(factor) * wavelength) * (1 - kept) + 1 / wavelength * kept
    }
  }
}

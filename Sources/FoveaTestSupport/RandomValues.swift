/// Deterministic pseudo-random values for tests (SplitMix64; Steele, Lea and Flood 2014).
public struct RandomValues: RandomNumberGenerator {
  private var state: UInt64

  /// The same seed gives the same values.
  public init(seed: UInt64) {
    state = seed
  }

  /// The next 64 pseudo-random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// `count` values of about unit variance, one in 64 of them four times as large: spiky enough to matter.
  public mutating func values(_ count: Int) -> [Double] {
    (0..<count).map { _ in
      // The sum of four uniform values is close enough to a normal one.
      let sum = (0..<4).reduce(0.0) { partial, _ in partial + Double.random(in: -1...1, using: &self) }
      let value = sum * 0.866
      return next() % 64 == 0 ? value * 4 : value
    }
  }
}

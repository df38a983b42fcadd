/// A 16-bit brain floating-point number: the upper half of a float32.
///
/// Storage only; arithmetic happens in float32.
public struct BFloat16: Sendable, Hashable {
  /// The sign bit, 8 exponent bits and 7 fraction bits.
  public var bitPattern: UInt16

  /// Takes the 16 bits as they are.
  public init(bitPattern: UInt16) {
    self.bitPattern = bitPattern
  }

  /// Rounds to the nearest representable value, ties to even; NaN stays NaN.
  public init(_ value: Float) {
    let bits = value.bitPattern
    guard !value.isNaN else {
      // The quiet bit is set so that truncation cannot turn a NaN into infinity.
      bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
      return
    }
    let roundingBias = 0x7FFF + ((bits >> 16) & 1)
    bitPattern = UInt16(truncatingIfNeeded: (bits &+ roundingBias) >> 16)
  }
}

extension Float {
  /// The exact value of `value`: every bfloat16 is a float32.
  public init(_ value: BFloat16) {
    self.init(bitPattern: UInt32(value.bitPattern) << 16)
  }
}

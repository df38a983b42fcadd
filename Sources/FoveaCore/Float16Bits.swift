// `Float16` is not available to Swift on Intel Macs, so the package carries float16 values as their bits.

/// The bits of the float16 nearest to `value`, ties to even; NaN stays NaN.
package func float16Bits(_ value: Float) -> UInt16 {
  #if !(os(macOS) && arch(x86_64))
  return Float16(value).bitPattern
  #else
  let bits = value.bitPattern
  let sign = UInt16(truncatingIfNeeded: (bits >> 16) & 0x8000)
  let magnitude = bits & 0x7FFF_FFFF
  if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
  if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
  if magnitude < 0x3880_0000 {
    // Subnormal: adding 0.5 aligns the last place of the sum with float16's smallest step, and the sum is rounded once.
    let aligned = Float(bitPattern: magnitude) + 0.5
    return sign | UInt16(truncatingIfNeeded: aligned.bitPattern &- Float(0.5).bitPattern)
  }
  let roundingBias = 0xFFF + ((magnitude >> 13) & 1)
  return sign | UInt16(truncatingIfNeeded: (magnitude &+ roundingBias &- 0x3800_0000) >> 13)
  #endif
}

/// The exact value of a float16 given by its bits.
package func float(fromFloat16Bits bits: UInt16) -> Float {
  #if !(os(macOS) && arch(x86_64))
  return Float(Float16(bitPattern: bits))
  #else
  let sign = UInt32(bits & 0x8000) << 16
  let magnitude = UInt32(bits & 0x7FFF)
  if magnitude >= 0x7C00 { return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x3FF) << 13) }
  // 2^112 moves the exponent from float16's bias to float32's, subnormals included.
  let value = Float(bitPattern: magnitude << 13) * Float(sign: .plus, exponent: 112, significand: 1)
  return sign == 0 ? value : -value
  #endif
}

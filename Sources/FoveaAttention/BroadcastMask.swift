package import FoveaCore

/// A mask array seen as `[batch, headCount, queryLength, keyLength]` through strides, of which some may be zero.
package struct BroadcastMask {
  private let tensor: Tensor
  private let base: UnsafeRawPointer

  /// `tensor` must have been broadcast to the problem's four dimensions; it is held as long as the mask.
  package init(_ tensor: Tensor) {
    self.tensor = tensor
    base = UnsafeRawPointer(tensor.baseAddress)
  }

  /// Writes what is added to the scores of `keys` (counted from `firstKey`) to `target[key]`: 0 or −∞ for a Boolean
  /// mask. Returns the shortest run that holds every key not hidden by −∞.
  func expand(
    batch: Int, head: Int, query: Int, firstKey: Int, keys: Range<Int>, into target: UnsafeMutablePointer<Float>
  ) -> Range<Int> {
    let strides = tensor.strides
    let keyStride = strides[3]
    let offset = batch * strides[0] + head * strides[1] + query * strides[2] + firstKey * keyStride
    let row = base + offset * tensor.elementType.byteCount
    switch tensor.elementType {
    case .bool:
      for key in keys {
        target[key] = row.loadUnaligned(fromByteOffset: key * keyStride, as: UInt8.self) != 0 ? 0 : -.infinity
      }
    case .float32:
      for key in keys { target[key] = row.loadUnaligned(fromByteOffset: key * keyStride * 4, as: Float.self) }
    case .bfloat16:
      for key in keys {
        let bits = row.loadUnaligned(fromByteOffset: key * keyStride * 2, as: UInt16.self)
        target[key] = Float(BFloat16(bitPattern: bits))
      }
    default:
      for key in keys { target[key] = Float(row.loadElement(tensor.elementType, at: key * keyStride)) }
    }
    var begin = keys.lowerBound
    var end = keys.upperBound
    while begin < end, target[begin] == -.infinity { begin += 1 }
    while begin < end, target[end - 1] == -.infinity { end -= 1 }
    return begin..<end
  }
}

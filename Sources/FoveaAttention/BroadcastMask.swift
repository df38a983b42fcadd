internal import CFoveaKernels
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
    batch: Int, head: Int, query: Int, firstKey: Int, keys: Range<Int>, into target: UnsafeMutablePointer<Float>,
    kernels: UnsafePointer<fovea_kernels>
  ) -> Range<Int> {
    let strides = tensor.strides
    let type = tensor.elementType
    let keyStride = strides[3]
    let offset =
      batch * strides[0] + head * strides[1] + query * strides[2] + (firstKey + keys.lowerBound) * keyStride
    let row = base + offset * type.byteCount
    let first = target + keys.lowerBound
    if keyStride != 1 {
      for index in 0..<keys.count {
        let value = Float(row.loadElement(type, at: index * keyStride))
        first[index] = type == .bool ? (value != 0 ? 0 : -.infinity) : value
      }
    } else if type == .bool {
      kernels.pointee.widen_boolean(row.assumingMemoryBound(to: UInt8.self), first, keys.count)
    } else {
      kernels.pointee.convert(row, type.kernelElement, first, FOVEA_FLOAT32, keys.count)
    }
    var begin = keys.lowerBound
    var end = keys.upperBound
    while begin < end, target[begin] == -.infinity { begin += 1 }
    while begin < end, target[end - 1] == -.infinity { end -= 1 }
    return begin..<end
  }
}

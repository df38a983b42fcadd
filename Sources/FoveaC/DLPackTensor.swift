internal import CFovea
internal import FoveaCore

extension Tensor {
  /// A view of a DLPack tensor's memory, which must stay valid during the call; `name` is for errors.
  ///
  /// Every number is checked before it is used: the sizes come from another language.
  init(_ pointer: UnsafePointer<DLTensor>?, name: String) throws(CallFault) {
    guard let source = pointer?.pointee else { throw .invalid("\(name) is null") }
    guard source.device.device_type == DLDeviceType(kDLCPU) else {
      throw .unsupported("\(name) is on a device of type \(source.device.device_type), expected the CPU (\(kDLCPU))")
    }
    let elementType = try ElementType(source.dtype, name: name)
    guard source.ndim >= 0, source.ndim <= 64, source.ndim == 0 || source.shape != nil else {
      throw .invalid("\(name) has \(source.ndim) dimensions\(source.shape == nil ? " and no shape" : "")")
    }
    let rank = Int(source.ndim)
    let shape = (0..<rank).map { Int(source.shape[$0]) }
    guard shape.allSatisfy({ $0 >= 0 }) else { throw .invalid("\(name) has a negative size in its shape \(shape)") }
    let strides = source.strides.map { strides in (0..<rank).map { Int(strides[$0]) } }
    let extent = try Extent(shape: shape, strides: strides, width: elementType.byteCount, name: name)
    guard !shape.contains(0) else {
      self.init(zeros: shape, elementType: elementType)
      return
    }
    guard let data = source.data else { throw .invalid("\(name) has no data") }
    guard let byteOffset = Int(exactly: source.byte_offset) else {
      throw .invalid("\(name) has a byte offset of \(source.byte_offset)")
    }
    let storage = TensorStorage(
      borrowing: data + byteOffset + extent.lowest, byteCount: extent.byteCount, isReadOnly: false
    ) { _, _ in }
    self.init(
      storage: storage, byteOffset: -extent.lowest, elementType: elementType, shape: shape, strides: extent.strides)
  }
}

/// The bytes that a strided array covers, relative to its first element.
private struct Extent {
  let strides: [Int]
  /// The offset of the lowest byte; 0 or negative.
  let lowest: Int
  let byteCount: Int

  init(shape: [Int], strides givenStrides: [Int]?, width: Int, name: String) throws(CallFault) {
    let tooLarge = CallFault.invalid("\(name) of shape \(shape) is too large")
    func product(_ a: Int, _ b: Int) throws(CallFault) -> Int {
      let (result, overflows) = a.multipliedReportingOverflow(by: b)
      if overflows || result.magnitude > 1 << 60 { throw tooLarge }
      return result
    }
    var count = width
    for size in shape { count = try product(count, max(size, 1)) }
    strides = givenStrides ?? Tensor.rowMajorStrides(of: shape)
    var lowest = 0
    var highest = 0
    for (size, stride) in zip(shape, strides) where size > 0 {
      let reach = try product(try product(size - 1, stride), width)
      if reach < 0 { lowest += reach } else { highest += reach }
      guard abs(lowest) < 1 << 60, highest < 1 << 60 else { throw tooLarge }
    }
    self.lowest = lowest
    byteCount = highest - lowest + width
  }
}

extension ElementType {
  /// The floating-point or Boolean type that DLPack describes.
  init(_ type: DLDataType, name: String) throws(CallFault) {
    switch (Int(type.code), type.bits, type.lanes) {
    case (Int(kDLFloat), 16, 1): self = .float16
    case (Int(kDLFloat), 32, 1): self = .float32
    case (Int(kDLFloat), 64, 1): self = .float64
    case (Int(kDLBfloat), 16, 1): self = .bfloat16
    case (Int(kDLBool), 8, 1): self = .bool
    default:
      throw .unsupported(
        "\(name) has elements of DLPack type code \(type.code), \(type.bits) bits, \(type.lanes) lanes; expected float16, "
          + "bfloat16, float32, float64 or bool")
    }
  }
}

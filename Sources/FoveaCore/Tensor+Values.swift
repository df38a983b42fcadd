extension Tensor {
  /// A contiguous float32 tensor of `values`, which must number as many as `shape` asks for.
  public init(_ values: [Float], shape: [Int]) {
    self.init(values.map(Double.init), shape: shape, elementType: .float32)
  }

  /// A contiguous tensor of `values` rounded to a floating-point `elementType`, or of whether they differ from 0 for
  /// `bool`.
  public init(_ values: [Double], shape: [Int], elementType: ElementType) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values do not fill shape \(shape)")
    self.init(zeros: shape, elementType: elementType)
    let bytes = baseAddress
    switch elementType {
    case .float64: for (i, value) in values.enumerated() { bytes.storeElement(value, at: i) }
    case .float32: for (i, value) in values.enumerated() { bytes.storeElement(Float(value), at: i) }
    case .bfloat16:
      for (i, value) in values.enumerated() { bytes.storeElement(BFloat16(Float(value)).bitPattern, at: i) }
    case .float16: for (i, value) in values.enumerated() { bytes.storeElement(float16Bits(Float(value)), at: i) }
    case .bool: for (i, value) in values.enumerated() { bytes.storeElement(UInt8(value != 0 ? 1 : 0), at: i) }
    default: preconditionFailure("a tensor of \(elementType) cannot be made from floating-point values")
    }
  }

  /// A contiguous Boolean tensor.
  public init(_ values: [Bool], shape: [Int]) {
    self.init(values.map { $0 ? 1 : 0 }, shape: shape, elementType: .bool)
  }

  /// Every element in row-major order, widened to float64; integers are converted, Booleans become 0 and 1.
  public func doubles() -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(elementCount)
    let bytes = UnsafeRawPointer(baseAddress)
    let type = elementType
    forEachElementOffset { result.append(bytes.loadElement(type, at: $0)) }
    return result
  }

  /// Every element in row-major order as float32.
  public func floats() -> [Float] {
    if elementType == .float32, isContiguous {
      return [Float](UnsafeBufferPointer(start: baseAddress.assumingMemoryBound(to: Float.self), count: elementCount))
    }
    return doubles().map(Float.init)
  }
}

extension UnsafeMutableRawPointer {
  fileprivate func storeElement<Element: BitwiseCopyable>(_ value: Element, at index: Int) {
    storeBytes(of: value, toByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
  }
}

extension UnsafeRawPointer {
  /// The element `index` elements from here, widened to float64.
  package func loadElement(_ type: ElementType, at index: Int) -> Double {
    func load<Element: BitwiseCopyable>(_: Element.Type) -> Element {
      loadUnaligned(fromByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
    }
    return switch type {
    case .bool: load(UInt8.self) != 0 ? 1 : 0
    case .uint8: Double(load(UInt8.self))
    case .int8: Double(load(Int8.self))
    case .uint16: Double(load(UInt16.self))
    case .int16: Double(load(Int16.self))
    case .uint32: Double(load(UInt32.self))
    case .int32: Double(load(Int32.self))
    case .uint64: Double(load(UInt64.self))
    case .int64: Double(load(Int64.self))
    case .float16: Double(float(fromFloat16Bits: load(UInt16.self)))
    case .bfloat16: Double(Float(BFloat16(bitPattern: load(UInt16.self))))
    case .float32: Double(load(Float.self))
    case .float64: load(Double.self)
    }
  }
}

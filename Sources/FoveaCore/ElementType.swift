/// The type of a tensor's elements.
public enum ElementType: String, Sendable, CaseIterable, Hashable {
  case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64
  case float16, bfloat16, float32, float64

  /// The size of one element in bytes.
  public var byteCount: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    }
  }

  /// Whether this is one of the four floating-point types.
  public var isFloatingPoint: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }

  /// The floating-point type that holds every value of both, or nil where one of them is not floating-point.
  ///
  /// float16 with bfloat16 gives float32, as in NumPy, PyTorch and MLX.
  public func promoted(with other: ElementType) -> ElementType? {
    guard isFloatingPoint, other.isFloatingPoint else { return nil }
    if self == other { return self }
    return self == .float64 || other == .float64 ? .float64 : .float32
  }
}

extension ElementType: CustomStringConvertible {
  /// The type's name as in Swift, such as `float32`.
  public var description: String { rawValue }
}

internal import FoveaCore

extension ElementType {
  /// The type that a header calls `name`, or nil if Fovea has no such type.
  init?(safetensorsName name: String) {
    guard let type = ElementType.allCases.first(where: { $0.safetensorsName == name }) else { return nil }
    self = type
  }

  /// What a header calls the type.
  var safetensorsName: String {
    switch self {
    case .bool: "BOOL"
    case .uint8: "U8"
    case .int8: "I8"
    case .int16: "I16"
    case .uint16: "U16"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .int32: "I32"
    case .uint32: "U32"
    case .float32: "F32"
    case .float64: "F64"
    case .int64: "I64"
    case .uint64: "U64"
    }
  }

  /// The place of the type in the reference writer's order, smallest alignment first; the writer lays tensors out from
  /// the last to the first, so that each is aligned.
  var safetensorsRank: Int {
    switch self {
    case .bool: 0
    case .uint8: 1
    case .int8: 2
    case .int16: 3
    case .uint16: 4
    case .float16: 5
    case .bfloat16: 6
    case .int32: 7
    case .uint32: 8
    case .float32: 9
    case .float64: 10
    case .int64: 11
    case .uint64: 12
    }
  }
}

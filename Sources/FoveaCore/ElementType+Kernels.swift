package import CFoveaKernels

extension ElementType {
  /// The kernels' name of float32, float16 and bfloat16. Traps for the types that kernels do not read.
  package var kernelElement: fovea_element {
    switch self {
    case .float32: return FOVEA_FLOAT32
    case .float16: return FOVEA_FLOAT16
    case .bfloat16: return FOVEA_BFLOAT16
    default: preconditionFailure("no kernel reads \(self)")
    }
  }
}

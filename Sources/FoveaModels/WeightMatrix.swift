internal import CFoveaKernels
internal import FoveaCore

/// A matrix `[rowCount, columnCount]` as it lies in the checkpoint: elements, or codes with scales.
struct WeightMatrix: Sendable {
  /// Codes of a row are a stream of bits, lowest first.
  struct Codes: Sendable {
    let scheme: QuantizationScheme
    /// `[rowCount, columnCount / groupSize]`: floating-point, or the exponents of mxfp4 as bytes.
    let scales: Tensor
    /// Of the scales' shape and type; nil for mxfp4.
    let biases: Tensor?
  }

  /// `[rowCount, columnCount]`, or the rows' codes as words or bytes. Elements of a row lie one after another.
  let tensor: Tensor
  /// The rest of what quantised weights are made of.
  let codes: Codes?

  var rowCount: Int { tensor.shape[0] }

  var columnCount: Int {
    guard let codes else { return tensor.shape[1] }
    return tensor.shape[1] * tensor.elementType.byteCount * 8 / codes.scheme.bits
  }

  var parameterCount: Int { rowCount * columnCount }

  /// What it consists of, codes first.
  var tensors: [Tensor] { [tensor] + (codes.map { [$0.scales] + ($0.biases.map { [$0] } ?? []) } ?? []) }

  var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The type that the weights were made in: that of the elements or of the scales; bfloat16 where scales are exponents.
  var elementType: ElementType {
    guard let codes else { return tensor.elementType }
    return codes.scales.elementType.isFloatingPoint ? codes.scales.elementType : .bfloat16
  }

  /// Whether another matrix is stored in the same bytes, as a copy or as itself.
  func hasSameBytes(as other: WeightMatrix) -> Bool {
    let (own, others) = (tensors, other.tensors)
    return codes?.scheme == other.codes?.scheme && own.count == others.count
      && zip(own, others).allSatisfy { $0.hasSameBytes(as: $1) }
  }

  /// Some of the rows.
  func rows(_ range: Range<Int>) -> WeightMatrix {
    WeightMatrix(
      tensor: tensor.sliced(axis: 0, range),
      codes: codes.map {
        Codes(
          scheme: $0.scheme, scales: $0.scales.sliced(axis: 0, range), biases: $0.biases?.sliced(axis: 0, range))
      })
  }

  /// What the kernels take for quantised weights, from `row` on.
  func kernelMatrix(_ codes: Codes, from row: Int) -> fovea_quantized_matrix {
    let scaleStride = codes.scales.strides[0]
    func address(_ tensor: Tensor) -> UnsafeRawPointer {
      UnsafeRawPointer(tensor.baseAddress + row * scaleStride * tensor.elementType.byteCount)
    }
    let codeStride = tensor.strides[0] * tensor.elementType.byteCount
    return fovea_quantized_matrix(
      codes: (tensor.baseAddress + row * codeStride).assumingMemoryBound(to: UInt8.self),
      code_stride: codeStride, scales: address(codes.scales), biases: codes.biases.map(address),
      scale_stride: scaleStride, scale_element: elementType.kernelElement,
      kind: codes.scheme.mode == .mxfp4 ? FOVEA_MXFP4 : FOVEA_AFFINE, bits: UInt32(codes.scheme.bits),
      group_size: codes.scheme.groupSize)
  }

  /// Writes one row as float32.
  func widenRow(_ row: Int, into target: UnsafeMutablePointer<Float>, kernels: UnsafePointer<fovea_kernels>) {
    if let codes {
      var matrix = kernelMatrix(codes, from: row)
      fovea_dequantize_row(&matrix, 0, columnCount, target)
    } else {
      kernels.pointee.convert(
        tensor.baseAddress + row * tensor.strides[0] * tensor.elementType.byteCount, tensor.elementType.kernelElement,
        target, FOVEA_FLOAT32, columnCount)
    }
  }
}

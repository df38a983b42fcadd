internal import CFoveaKernels
internal import FoveaCore

/// Rows of activations in the forms in which the products of one phase read them.
struct ProductInputs {
  /// The rows rounded to bytes; the layout goes by the width of the weights' codes.
  fileprivate struct Codes {
    let form: CodeForm
    let codes: UnsafeMutablePointer<Int8>
    let scales: UnsafeMutablePointer<Float>
    let sums: UnsafeMutablePointer<Float>
  }

  /// The rows themselves.
  let activations: ActivationRows
  fileprivate let depth: Int
  /// By form; empty where weights meet activations in float32.
  fileprivate var codes: [Codes] = []

  /// The rounded rows from `row` on for weights of that scheme, if there are any.
  fileprivate func codes(
    for scheme: QuantizationScheme, row: Int
  ) -> (codes: UnsafePointer<Int8>, scales: UnsafePointer<Float>, sums: UnsafePointer<Float>)? {
    let form = CodeForm(scheme)
    guard let found = codes.first(where: { $0.form == form }) else { return nil }
    return (
      UnsafePointer(found.codes + row * fovea_code_stride(depth)),
      UnsafePointer(found.scales + row * (depth / Int(FOVEA_CODE_BLOCK))),
      UnsafePointer(found.sums + row * (depth / scheme.groupSize))
    )
  }
}

/// What rounded activations depend on in the weights that they meet.
private struct CodeForm: Equatable {
  /// 4, or 8 for all other widths.
  let bits: Int
  let groupSize: Int

  init(_ scheme: QuantizationScheme) {
    bits = scheme.bits == 4 ? 4 : 8
    groupSize = scheme.groupSize
  }

  /// The bytes of each part of `rowCount` rows, whole cache lines.
  func byteCounts(rowCount: Int, depth: Int) -> [Int] {
    let (blocks, groups) = (depth / Int(FOVEA_CODE_BLOCK), depth / groupSize)
    return [fovea_code_stride(depth), blocks * 4, groups * 4].map { ($0 * rowCount + 63) / 64 * 64 }
  }
}

extension ComputeStream {
  /// Prepares rows of activations for products with `weights`, which all have the same depth. What quantised weights
  /// take lies in the stream's shared scratch until the next call.
  func prepare(_ activations: ActivationRows, for weights: [LinearWeights]) -> ProductInputs {
    let depth = weights.first?.inputSize ?? 0
    var inputs = ProductInputs(activations: activations, depth: depth)
    guard activations.roundsToCodes else { return inputs }
    var forms: [CodeForm] = []
    for case let scheme? in weights.map(\.matrix.codes?.scheme) where !forms.contains(CodeForm(scheme)) {
      forms.append(CodeForm(scheme))
    }
    guard !forms.isEmpty else { return inputs }
    let sizes = forms.map { $0.byteCounts(rowCount: activations.count, depth: depth) }
    var memory = sharedScratch(byteCount: sizes.reduce(0) { $0 + $1.reduce(0, +) })
    for (form, byteCounts) in zip(forms, sizes) {
      inputs.codes.append(
        ProductInputs.Codes(
          form: form, codes: memory.assumingMemoryBound(to: Int8.self),
          scales: (memory + byteCounts[0]).assumingMemoryBound(to: Float.self),
          sums: (memory + byteCounts[0] + byteCounts[1]).assumingMemoryBound(to: Float.self)))
      memory += byteCounts.reduce(0, +)
    }
    let kernels = kernelTable
    let prepared = inputs.codes
    func round(_ rows: Range<Int>) {
      for target in prepared {
        let first = rows.lowerBound
        var work = fovea_activation_codes(
          inputs: UnsafeRawPointer(activations.row(first)), input_stride: activations.stride,
          input_element: activations.type.kernelElement, row_count: rows.count, depth: depth,
          group_size: target.form.groupSize, bits: UInt32(target.form.bits),
          codes: target.codes + first * fovea_code_stride(depth),
          scales: target.scales + first * (depth / Int(FOVEA_CODE_BLOCK)),
          sums: target.sums + first * (depth / target.form.groupSize))
        kernels.pointee.activation_codes(&work)
      }
    }
    // A few rows take less time than a barrier.
    if activations.count < 4 { round(0..<activations.count) } else { forEachRange(activations.count, grain: 8, round) }
    return inputs
  }
}

extension LinearWeights {
  /// The scratch of ``multiply(_:_:rows:columns:outputs:outputStride:accumulates:scratch:)``, whole cache lines.
  var scratchByteCount: Int {
    guard matrix.codes != nil else { return 0 }
    let dequantized = Self.dequantizedRowCount * inputSize * MemoryLayout<Float>.stride
    return (max(fovea_quantized_scratch_byte_count(inputSize), dequantized) + 63) / 64 * 64
  }

  /// Rows of quantised weights that are widened at once where activations stay as they are.
  private static let dequantizedRowCount = 16

  /// Columns `columns` of rows `rows` of inputs · weightsᵀ + bias, to `outputs`, where the first of both goes.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: ProductInputs, rows: Range<Int>, columns: Range<Int>,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int, accumulates: Bool = false,
    scratch: UnsafeMutableRawPointer
  ) {
    let bias = bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) + columns.lowerBound }
    guard let codes = matrix.codes else {
      let width = matrix.tensor.elementType.byteCount
      var work = fovea_linear(
        activations: UnsafeRawPointer(inputs.activations.row(rows.lowerBound)),
        activation_stride: inputs.activations.stride,
        weights: UnsafeRawPointer(matrix.tensor.baseAddress + columns.lowerBound * inputSize * width),
        weight_stride: inputSize, bias: bias, outputs: outputs, output_stride: outputStride, row_count: rows.count,
        column_count: columns.count, depth: inputSize, accumulates: accumulates)
      kernel(kernels.pointee, activationType: inputs.activations.type.kernelElement)?(&work)
      return
    }
    guard let rounded = inputs.codes(for: codes.scheme, row: rows.lowerBound) else {
      multiplyWidened(
        kernels, inputs, rows: rows, columns: columns, bias: bias, outputs: outputs, outputStride: outputStride,
        accumulates: accumulates, scratch: scratch)
      return
    }
    var work = fovea_quantized_linear(
      codes: rounded.codes, scales: rounded.scales, sums: rounded.sums,
      weights: matrix.kernelMatrix(codes, from: columns.lowerBound), bias: bias, outputs: outputs,
      output_stride: outputStride, row_count: rows.count, column_count: columns.count, depth: inputSize,
      accumulates: accumulates, scratch: scratch)
    kernels.pointee.quantized_linear(&work)
  }

  /// Quantised weights widened to float32 as they are needed.
  private func multiplyWidened(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: ProductInputs, rows: Range<Int>, columns: Range<Int>,
    bias: UnsafePointer<Float>?, outputs: UnsafeMutablePointer<Float>, outputStride: Int, accumulates: Bool,
    scratch: UnsafeMutableRawPointer
  ) {
    let widened = scratch.assumingMemoryBound(to: Float.self)
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.dequantizedRowCount) {
      let count = min(Self.dequantizedRowCount, columns.upperBound - first)
      for column in 0..<count {
        matrix.widenRow(first + column, into: widened + column * inputSize, kernels: kernels)
      }
      let offset = first - columns.lowerBound
      var work = fovea_linear(
        activations: UnsafeRawPointer(inputs.activations.row(rows.lowerBound)),
        activation_stride: inputs.activations.stride, weights: UnsafeRawPointer(widened), weight_stride: inputSize,
        bias: bias.map { $0 + offset }, outputs: outputs + offset, output_stride: outputStride, row_count: rows.count,
        column_count: count, depth: inputSize, accumulates: accumulates)
      kernels.pointee.linear.0.0?(&work)
    }
  }
}

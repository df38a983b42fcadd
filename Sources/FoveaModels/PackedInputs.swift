internal import CFoveaKernels
internal import FoveaCore

/// How packed weights and the activations that meet them are stored.
enum PackedForm: Sendable {
  case float32
  /// Rounded to integers of 16 bits with a scale for each ``FOVEA_INT16_GROUP`` elements of a row.
  case int16

  init(_ precision: Precision) { self = precision == .int16 ? .int16 : .float32 }

  /// What a row of `depth` elements takes, in 4 bytes. Rows that are cut at groups take as much as their parts.
  func rowSize(_ depth: Int) -> Int {
    switch self {
    case .float32: depth
    case .int16: fovea_int16_row_size(depth)
    }
  }

  /// The memory that ``inputs(_:_:depth:memory:)`` needs.
  func inputByteCount(rowCount: Int, depth: Int) -> Int {
    self == .float32 ? 0 : rowCount * rowSize(depth) * MemoryLayout<Float>.stride
  }

  /// Float32 rows of `depth` elements as products read them: as they lie, or rounded into `memory`.
  func inputs(
    _ kernels: UnsafePointer<fovea_kernels>, _ activations: ActivationRows, depth: Int, memory: UnsafeMutableRawPointer
  ) -> PackedInputs {
    guard self == .int16 else { return PackedInputs(activations) }
    round(kernels, activations, depth: depth, into: memory)
    return PackedInputs(rounded: memory, count: activations.count, depth: depth)
  }

  /// Rounds float32 rows of `depth` elements, each to ``rowSize(_:)``.
  func round(
    _ kernels: UnsafePointer<fovea_kernels>, _ activations: ActivationRows, depth: Int,
    into memory: UnsafeMutableRawPointer
  ) {
    var work = fovea_int16_rows(
      inputs: activations.floats(), input_stride: activations.stride, row_count: activations.count, depth: depth,
      rows: memory, row_stride: rowSize(depth))
    kernels.pointee.round_int16(&work)
  }
}

/// Rows of activations as products with ``PackedWeights`` read them, in memory that others own.
struct PackedInputs {
  /// The first step of the first row.
  let base: UnsafeRawPointer
  /// The first scale of the first row; nil if the rows are float32.
  let scales: UnsafePointer<Float>?
  /// From one row to the next, in 4 bytes.
  let stride: Int
  let count: Int

  private init(base: UnsafeRawPointer, scales: UnsafePointer<Float>?, stride: Int, count: Int) {
    self.base = base
    self.scales = scales
    self.stride = stride
    self.count = count
  }

  /// Float32 rows as they lie.
  init(_ activations: ActivationRows) {
    self.init(
      base: UnsafeRawPointer(activations.floats()), scales: nil, stride: activations.stride, count: activations.count)
  }

  /// Rounded rows.
  init(rounded: UnsafeRawPointer, count: Int, depth: Int) {
    self.init(
      base: rounded, scales: rounded.assumingMemoryBound(to: Float.self) + fovea_int16_step_count(depth),
      stride: fovea_int16_row_size(depth), count: count)
  }

  func rows(_ range: Range<Int>) -> PackedInputs {
    PackedInputs(
      base: base + range.lowerBound * stride * MemoryLayout<Float>.stride,
      scales: scales.map { $0 + range.lowerBound * stride }, stride: stride, count: range.count)
  }

  /// The rows from element `depth` on, where a group begins.
  func from(depth: Int) -> PackedInputs {
    let elementByteCount = scales == nil ? MemoryLayout<Float>.stride : MemoryLayout<Int16>.stride
    return PackedInputs(
      base: base + depth * elementByteCount, scales: scales.map { $0 + fovea_int16_group_count(depth) }, stride: stride,
      count: count)
  }
}

extension ComputeStream {
  /// Float32 rows as products with `weights` read them; rounded ones lie in the stream's shared scratch until the next call.
  func prepare(_ activations: ActivationRows, for weights: PackedMatrix) -> PackedInputs {
    let (form, depth) = (weights.form, weights.inputSize)
    guard form == .int16 else { return PackedInputs(activations) }
    let memory = sharedScratch(byteCount: form.inputByteCount(rowCount: activations.count, depth: depth))
    return round(activations, depth: depth, to: form, memory: memory)
  }

  /// Rounds float32 rows of `depth` elements into `memory`, with all threads where that takes less time than a barrier.
  func round(
    _ activations: ActivationRows, depth: Int, to form: PackedForm, memory: UnsafeMutableRawPointer
  ) -> PackedInputs {
    let kernels = kernelTable
    let rowByteCount = form.inputByteCount(rowCount: 1, depth: depth)
    activations.fetchFew()
    forEachRange(activations.count, grain: 8) { rows in
      form.round(kernels, activations.rows(rows), depth: depth, into: memory + rows.lowerBound * rowByteCount)
    }
    return PackedInputs(rounded: memory, count: activations.count, depth: depth)
  }
}

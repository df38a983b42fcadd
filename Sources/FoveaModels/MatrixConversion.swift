internal import CFoveaKernels
internal import FoveaCore
internal import FoveaSafetensors
internal import Synchronization

/// Brings a checkpoint's matrices into another type while a model is loaded.
final class MatrixConversion {
  enum Rule {
    /// To bfloat16, rounded.
    case rounding
    /// From float32 to the type of 16 bits that holds every element exactly, if there is one: products have the same bits
    /// and read half as much. Many float32 checkpoints are bfloat16 ones that were loaded and saved again.
    case exact
  }

  private let rule: Rule
  private let stream: ComputeStream
  private var area = CopyArea()
  /// Whether a matrix of float32 became narrower without loss.
  private(set) var hasNarrowed = false

  /// So many elements are converted and read back at a time: they stay in the first-level cache.
  private static let blockElementCount = 4096
  /// Those of one piece of work.
  private static let grain = 1 << 16

  init(_ rule: Rule, on stream: ComputeStream) {
    self.rule = rule
    self.stream = stream
  }

  /// What a decoder's matrices go through; nil if they stay as they are. A mapped checkpoint may be larger than the
  /// memory and is only slow then, where a copy that does not fit would end the process.
  static func ofDecoder(
    _ checkpoint: Checkpoint, precision: Precision, on stream: ComputeStream
  ) -> MatrixConversion? {
    switch precision {
    case .bfloat16: return MatrixConversion(.rounding, on: stream)
    // All but the embedding are copied in another form.
    case .int16: return nil
    case .native, .float32: break
    }
    let copyByteCount = (checkpoint.byteCounts[.float32] ?? 0) / 2
    return copyByteCount <= MachineMemory.byteCount() / 4 * 3 ? MatrixConversion(.exact, on: stream) : nil
  }

  /// The same matrix in another type, or nil where it stays as it is.
  func converted(_ stored: Tensor) -> Tensor? {
    let converted: Tensor?
    switch rule {
    case .rounding:
      converted = stored.elementType == .bfloat16 ? nil : convert(stored, to: .bfloat16, isExact: false)
    case .exact:
      guard stored.elementType == .float32 else { return nil }
      converted = convert(stored, to: .bfloat16, isExact: true) ?? convert(stored, to: .float16, isExact: true)
      hasNarrowed = hasNarrowed || converted != nil
    }
    // The copy is what is read from now on.
    if converted != nil { stored.releasePages() }
    return converted
  }

  /// A copy of `stored` in `type`; nil if it must be exact and is not.
  private func convert(_ stored: Tensor, to type: ElementType, isExact: Bool) -> Tensor? {
    let count = stored.elementCount
    // Most matrices that are not exact show it at once.
    let probe = Tensor(uninitialized: [min(count, Self.blockElementCount)], elementType: type)
    guard !isExact || convert(stored, 0..<probe.elementCount, into: probe, isExact: true) else { return nil }
    let (storage, byteOffset) = area.room(byteCount: stored.shape.reduce(type.byteCount, *))
    let result = Tensor(storage: storage, byteOffset: byteOffset, elementType: type, shape: stored.shape)
    let hasLoss = Atomic(false)
    stream.run {
      stream.forEachRange(count, grain: Self.grain) { range in
        guard !hasLoss.load(ordering: .relaxed) else { return }
        if !convert(stored, range, into: result, isExact: isExact) { hasLoss.store(true, ordering: .relaxed) }
      }
    }
    guard !hasLoss.load(ordering: .relaxed) else { return nil }
    area.take(upTo: result.byteOffset + result.byteCount)
    return result
  }

  /// Converts the elements `range` to the same places of `target`; returns false if it must be exact and is not.
  private func convert(_ stored: Tensor, _ range: Range<Int>, into target: Tensor, isExact: Bool) -> Bool {
    let kernels = stream.kernelTable
    let (element, targetElement) = (stored.elementType.kernelElement, target.elementType.kernelElement)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.blockElementCount) { buffer in
      guard let readBack = buffer.baseAddress else { return false }
      for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.blockElementCount) {
        let count = min(Self.blockElementCount, range.upperBound - first)
        let source = stored.baseAddress + first * stored.elementType.byteCount
        let converted = target.baseAddress + first * target.elementType.byteCount
        kernels.pointee.convert(source, element, converted, targetElement, count)
        guard isExact else { continue }
        kernels.pointee.convert(converted, targetElement, readBack, element, count)
        guard hasSameBytes(readBack, source, byteCount: count * stored.elementType.byteCount) else { return false }
      }
      return true
    }
  }
}

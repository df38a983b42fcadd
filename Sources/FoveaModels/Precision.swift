internal import CFoveaKernels
package import FoveaCore

/// The type in which a model's activations enter its products, and its cache is kept.
public enum Precision: String, Sendable, CaseIterable {
  /// The checkpoint's type: bfloat16 weights meet activations rounded to bfloat16 (with the dot instruction where the
  /// CPU has it) and a bfloat16 cache; float16 weights meet float32 activations and a float16 cache. Sums, norms,
  /// softmax and the residual stream stay in float32.
  case native
  /// Activations and cache in float32, for evaluation against references. Weights are read as stored.
  case float32
  /// As ``native`` with bfloat16 weights: matrices of another floating-point type are rounded to bfloat16 while the
  /// model is loaded, into memory of their own. Half the memory traffic of a float32 checkpoint, at a cosine of about
  /// 0.9999 to what it gives. Codes of quantised weights stay as they are.
  case bfloat16
  /// As ``float32``, but the factors of products with weights are integers of 16 bits with a scale for each 128 elements of
  /// a row, whose products are summed exactly. Matrices are rounded while the model is loaded, into memory of their own:
  /// half that of float32, for the integer dot instructions, at a cosine of about 0.9999997 to float32. A decoder's
  /// embedding and the choice of experts stay as stored; codes of quantised weights meet bytes, as they do in ``native``.
  case int16

  /// Whether caches, and activations that meet matrices as stored, are float32 whatever the checkpoint is.
  var keepsFloat32: Bool { self == .float32 || self == .int16 }

  /// The bytes that the copies of a decoder's matrices take, of a checkpoint with so many bytes of each type.
  private func copyByteCount(of byteCounts: [ElementType: Int]) -> Int {
    func elementCount(_ types: ElementType...) -> Int {
      types.reduce(0) { $0 + (byteCounts[$1] ?? 0) / $1.byteCount }
    }
    let width = MemoryLayout<Int16>.stride
    switch self {
    // Copies that do not fit are not made.
    case .native, .float32: return 0
    case .bfloat16: return elementCount(.float32, .float16) * width
    case .int16:
      let count = elementCount(.float32, .float16, .bfloat16)
      return count * width + count / Int(FOVEA_INT16_GROUP) * MemoryLayout<Float>.stride
    }
  }

  /// Refuses copies that are larger than the machine's memory: making them would end the process.
  package func checkCopies(
    of byteCounts: [ElementType: Int], folder: String, memoryByteCount: Int = MachineMemory.byteCount()
  ) throws(ModelError) {
    let byteCount = copyByteCount(of: byteCounts)
    guard byteCount <= memoryByteCount else {
      throw ModelError(
        .unsupportedFeature, file: folder,
        "precision '\(rawValue)' copies the matrices to \(byteCount >> 20) MiB of memory, the machine has "
          + "\(memoryByteCount >> 20) MiB: expected 'native' or 'float32', which read them where they lie")
    }
  }
}

/// An array of one element type with any number of dimensions: a view of shared storage.
///
/// Copying a tensor copies the view, not the elements. Strides count elements and may be zero (broadcast).
public struct Tensor: Sendable {
  /// The bytes that this view reads.
  public let storage: TensorStorage
  /// Where element [0, 0, …] lies in `storage`, in bytes.
  public let byteOffset: Int
  /// The type of every element.
  public let elementType: ElementType
  /// The size of each dimension; empty for a scalar.
  public let shape: [Int]
  /// The distance between neighbours along each dimension, in elements.
  public let strides: [Int]

  /// The number of elements.
  public var elementCount: Int { shape.reduce(1, *) }

  /// The size of the elements in bytes, each counted once.
  public var byteCount: Int { elementCount * elementType.byteCount }

  /// A view of `storage`. Traps if an element would lie outside of it.
  public init(storage: TensorStorage, byteOffset: Int = 0, elementType: ElementType, shape: [Int], strides: [Int]) {
    precondition(shape.count == strides.count, "shape \(shape) and strides \(strides) differ in rank")
    precondition(shape.allSatisfy { $0 >= 0 }, "shape \(shape) has a negative dimension")
    if !shape.contains(0) {
      var lowest = 0
      var highest = 0
      for (size, stride) in zip(shape, strides) {
        let reach = (size - 1) * stride
        lowest += Swift.min(reach, 0)
        highest += Swift.max(reach, 0)
      }
      let width = elementType.byteCount
      precondition(
        byteOffset + lowest * width >= 0 && byteOffset + (highest + 1) * width <= storage.byteCount,
        "a view of shape \(shape), strides \(strides) leaves its storage of \(storage.byteCount) bytes")
    }
    self.storage = storage
    self.byteOffset = byteOffset
    self.elementType = elementType
    self.shape = shape
    self.strides = strides
  }

  /// A row-major view of `storage`.
  public init(storage: TensorStorage, byteOffset: Int = 0, elementType: ElementType, shape: [Int]) {
    self.init(
      storage: storage, byteOffset: byteOffset, elementType: elementType, shape: shape,
      strides: Tensor.rowMajorStrides(of: shape))
  }

  /// New row-major storage filled with zeros.
  public init(zeros shape: [Int], elementType: ElementType = .float32) {
    let byteCount = shape.reduce(elementType.byteCount, *)
    self.init(storage: TensorStorage(byteCount: byteCount), elementType: elementType, shape: shape)
  }

  /// New row-major storage with whatever it holds: for results of which every element is written.
  package init(uninitialized shape: [Int], elementType: ElementType = .float32) {
    let byteCount = shape.reduce(elementType.byteCount, *)
    self.init(
      storage: TensorStorage(uninitializedByteCount: byteCount), elementType: elementType, shape: shape)
  }

  /// The strides of a contiguous tensor whose last axis varies fastest.
  public static func rowMajorStrides(of shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  /// Whether the elements lie one after another in row-major order.
  public var isContiguous: Bool {
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size != 1 {
      if size == 0 { return true }
      if stride != expected { return false }
      expected *= size
    }
    return true
  }

  /// The address of element [0, 0, …]. Valid while the tensor's storage lives: hold the tensor during its use.
  public var baseAddress: UnsafeMutableRawPointer { storage.baseAddress + byteOffset }
}

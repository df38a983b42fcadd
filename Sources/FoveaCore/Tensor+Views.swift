extension Tensor {
  /// The same elements with the dimensions in another order, without a copy.
  public func transposed(_ axes: [Int]) -> Tensor {
    precondition(axes.sorted() == Array(shape.indices), "axes \(axes) are no permutation of rank \(shape.count)")
    return Tensor(
      storage: storage, byteOffset: byteOffset, elementType: elementType, shape: axes.map { shape[$0] },
      strides: axes.map { strides[$0] })
  }

  /// The part of the tensor whose index along `axis` lies in `range`, without a copy.
  public func sliced(axis: Int, _ range: Range<Int>) -> Tensor {
    precondition(
      shape.indices.contains(axis) && range.lowerBound >= 0 && range.upperBound <= shape[axis],
      "range \(range) leaves axis \(axis) of shape \(shape)")
    var newShape = shape
    newShape[axis] = range.count
    return Tensor(
      storage: storage, byteOffset: byteOffset + range.lowerBound * strides[axis] * elementType.byteCount,
      elementType: elementType, shape: newShape, strides: strides)
  }

  /// The same elements in another shape; a copy only if the tensor is not contiguous.
  public func reshaped(_ newShape: [Int]) -> Tensor {
    precondition(
      newShape.reduce(1, *) == elementCount, "shape \(shape) cannot become \(newShape): other number of elements")
    let source = isContiguous ? self : contiguous()
    return Tensor(storage: source.storage, byteOffset: source.byteOffset, elementType: elementType, shape: newShape)
  }

  /// The tensor with `shape` as its dimensions, repeated along new or unit dimensions by zero strides; nil where NumPy's
  /// broadcasting rules do not allow it.
  public func broadcast(to newShape: [Int]) -> Tensor? {
    guard newShape.count >= shape.count else { return nil }
    let added = newShape.count - shape.count
    var newStrides = [Int](repeating: 0, count: newShape.count)
    for axis in shape.indices {
      if shape[axis] == newShape[axis + added] {
        newStrides[axis + added] = shape[axis] == 1 ? 0 : strides[axis]
      } else if shape[axis] != 1 {
        return nil
      }
    }
    return Tensor(
      storage: storage, byteOffset: byteOffset, elementType: elementType, shape: newShape, strides: newStrides)
  }

  /// A row-major copy.
  public func contiguous() -> Tensor {
    let copy = Tensor(uninitialized: shape, elementType: elementType)
    guard !shape.contains(0) else { return copy }
    // Elements of the last axes that lie one after another are copied together.
    var runLength = 1
    var axis = shape.count
    while axis > 0, shape[axis - 1] == 1 || strides[axis - 1] == runLength {
      axis -= 1
      runLength *= shape[axis]
    }
    let runs = Tensor(
      storage: storage, byteOffset: byteOffset, elementType: elementType, shape: Array(shape[..<axis]),
      strides: Array(strides[..<axis]))
    let width = elementType.byteCount
    var target = copy.baseAddress
    let source = baseAddress
    runs.forEachElementOffset { offset in
      target.copyMemory(from: source + offset * width, byteCount: runLength * width)
      target += runLength * width
    }
    return copy
  }

  /// Writes the elements of `source`, of the same shape and type, into this view, whose storage must be writable.
  package func copyElements(from source: Tensor) {
    precondition(
      shape == source.shape && elementType == source.elementType && !storage.isReadOnly,
      "\(source.shape) of \(source.elementType) cannot be copied to \(shape) of \(elementType)")
    let width = elementType.byteCount
    let target = baseAddress
    let packed = source.isContiguous ? source : source.contiguous()
    withExtendedLifetime(packed) {
      var bytes = packed.baseAddress
      forEachElementOffset { offset in
        (target + offset * width).copyMemory(from: bytes, byteCount: width)
        bytes += width
      }
    }
  }

  /// Calls `body` with the distance of every element from the first, in elements, in row-major order.
  package func forEachElementOffset(_ body: (Int) -> Void) {
    guard !shape.contains(0) else { return }
    var index = [Int](repeating: 0, count: shape.count)
    var offset = 0
    while true {
      body(offset)
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        offset += strides[axis]
        if index[axis] < shape[axis] { break }
        offset -= index[axis] * strides[axis]
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}

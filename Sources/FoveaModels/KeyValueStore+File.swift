internal import FoveaCore
internal import FoveaSafetensors

/// What a saved cache holds of one layer.
extension KeyValueStore {
  /// The rows of a text of `length` positions by name: those that are there, and the first ones where they lie apart.
  func tensors(length: Int) -> [String: Tensor] {
    let positions = min(length, max(0, writtenEnd - capacity))..<length
    var tensors = ["keys": tensor(keys, positions), "values": tensor(values, positions)]
    if let sinks, length > 0 {
      let shape = [headCount, sinks.count, headDimension]
      tensors["sink_keys"] = Tensor(storage: sinks.keys, elementType: elementType, shape: shape)
      tensors["sink_values"] = Tensor(storage: sinks.values, elementType: elementType, shape: shape)
    }
    return tensors
  }

  /// Takes the rows of a text of `length` positions. The store must be empty.
  ///
  /// - Parameter tensor: gives a tensor by name.
  /// - Throws: ``ModelError`` where rows are missing that go on needs; what `tensor` throws.
  mutating func restore(length: Int, _ tensor: (String) throws(SafetensorsError) -> Tensor) throws {
    func checked(_ name: String, count: Int?) throws -> Tensor {
      let tensor = try tensor(name)
      let shape = [headCount, count ?? (tensor.shape.count == 3 ? tensor.shape[1] : 0), headDimension]
      guard tensor.shape == shape, tensor.elementType == elementType else {
        throw ModelError(
          .invalidCacheFile,
          "has \(name) of \(tensor.elementType) \(tensor.shape), expected \(elementType) \(shape)")
      }
      return tensor
    }
    let savedKeys = try checked("keys", count: nil)
    let count = savedKeys.shape[1]
    let savedValues = try checked("values", count: count)
    let first = length - count
    guard count <= min(length, capacityLimit), length == 0 || first <= firstVisible(from: length) else {
      throw ModelError(
        .invalidCacheFile,
        "has \(count) positions of a layer that must hold those from \(firstVisible(from: length)) to \(length)")
    }
    guard length > 0 else { return }
    reserve(length: length, from: first)
    copy(savedKeys, to: keys, first..<length)
    copy(savedValues, to: values, first..<length)
    guard let sinks else { return }
    for (name, storage) in [("sink_keys", sinks.keys), ("sink_values", sinks.values)] {
      let saved = try checked(name, count: sinks.count)
      storage.baseAddress.copyMemory(from: saved.baseAddress, byteCount: saved.byteCount)
      withExtendedLifetime(saved) {}
    }
  }

  /// The runs of slots in which `positions` lie, each with the index of its first position.
  private func runs(_ positions: Range<Int>) -> [(index: Int, slot: Int, count: Int)] {
    guard !positions.isEmpty else { return [] }
    let slot = positions.lowerBound % capacity
    let count = min(positions.count, capacity - slot)
    return [(0, slot, count), (count, 0, positions.count - count)].filter { $0.2 > 0 }
  }

  /// A view of rows of all heads, or a copy where the ring wraps around between them.
  private func tensor(_ storage: TensorStorage, _ positions: Range<Int>) -> Tensor {
    let shape = [headCount, positions.count, headDimension]
    let rowByteCount = headDimension * elementType.byteCount
    let runs = runs(positions)
    if let run = runs.first, runs.count == 1 {
      return Tensor(
        storage: storage, byteOffset: run.slot * rowByteCount, elementType: elementType, shape: shape,
        strides: [headStride, headDimension, 1])
    }
    let copy = Tensor(uninitialized: shape, elementType: elementType)
    for head in 0..<headCount {
      for run in runs {
        (copy.baseAddress + (head * positions.count + run.index) * rowByteCount).copyMemory(
          from: storage.baseAddress + (head * capacity + run.slot) * rowByteCount,
          byteCount: run.count * rowByteCount)
      }
    }
    return copy
  }

  /// Brings contiguous rows of all heads to the slots of `positions`.
  private func copy(_ rows: Tensor, to storage: TensorStorage, _ positions: Range<Int>) {
    let rowByteCount = headDimension * elementType.byteCount
    for head in 0..<headCount {
      for run in runs(positions) {
        (storage.baseAddress + (head * capacity + run.slot) * rowByteCount).copyMemory(
          from: rows.baseAddress + (head * positions.count + run.index) * rowByteCount,
          byteCount: run.count * rowByteCount)
      }
    }
    withExtendedLifetime(rows) {}
  }
}

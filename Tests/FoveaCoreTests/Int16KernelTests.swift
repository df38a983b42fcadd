import CFoveaKernels
import FoveaCore
import FoveaTestSupport
import Testing

/// Rounding to integers of 16 bits, and the packed product of what it gives.
@Suite struct Int16KernelTests {
  /// Rows as `set` rounds them, `[count]` of `fovea_int16_row_size` values of 4 bytes; a NaN before and after the rows
  /// shows any read outside of them.
  private func rounded(_ rows: [Float], count: Int, depth: Int, by set: InstructionSet) -> TensorStorage {
    let source = Tensor([.nan] + rows + [.nan], shape: [rows.count + 2])
    let size = fovea_int16_row_size(depth)
    let storage = TensorStorage(byteCount: count * size * 4)
    var work = fovea_int16_rows(
      inputs: source.baseAddress.assumingMemoryBound(to: Float.self) + 1, input_stride: depth, row_count: count,
      depth: depth, rows: storage.baseAddress, row_stride: size)
    set.kernels.pointee.round_int16(&work)
    return storage
  }

  private func integers(_ storage: TensorStorage, row: Int, depth: Int) -> [Int16] {
    let start = storage.baseAddress + row * fovea_int16_row_size(depth) * 4
    return Array(
      UnsafeBufferPointer(start: start.assumingMemoryBound(to: Int16.self), count: 2 * fovea_int16_step_count(depth)))
  }

  private func scales(_ storage: TensorStorage, row: Int, depth: Int) -> [Float] {
    let start = storage.baseAddress.assumingMemoryBound(to: Float.self) + row * fovea_int16_row_size(depth)
    return Array(
      UnsafeBufferPointer(start: start + fovea_int16_step_count(depth), count: fovea_int16_group_count(depth)))
  }

  @Test(
    "elements are rounded to the nearest step of a group, whose length is bounded", arguments: InstructionSet.available)
  func rounding(set: InstructionSet) {
    for depth in [0, 1, 3, 8, 17, 127, 128, 129, 300, 384] {
      var random = RandomValues(seed: UInt64(depth))
      let values = random.values(2 * depth).map(Float.init)
      let storage = rounded(values, count: 2, depth: depth, by: set)
      for row in 0..<2 {
        let (integers, scales) = (
          integers(storage, row: row, depth: depth), scales(storage, row: row, depth: depth)
        )
        #expect(integers[depth...].allSatisfy { $0 == 0 })
        for first in stride(from: 0, to: depth, by: Int(FOVEA_INT16_GROUP)) {
          let group = first..<min(depth, first + Int(FOVEA_INT16_GROUP))
          let scale = Double(scales[first / Int(FOVEA_INT16_GROUP)])
          let squares = group.reduce(0) { $0 + Double(integers[$1]) * Double(integers[$1]) }
          #expect(abs(squares.squareRoot() - 32760) <= 6, "\(set.name), depth \(depth)")
          for index in group {
            let error = abs(Double(integers[index]) * scale - Double(values[row * depth + index]))
            #expect(error <= 0.501 * scale, "\(set.name), depth \(depth), element \(index)")
          }
        }
      }
    }
  }

  @Test("groups of zeros, of tiny and of infinite values and NaN", arguments: InstructionSet.available)
  func extremeGroups(set: InstructionSet) {
    let group = Int(FOVEA_INT16_GROUP)
    func row(_ element: Float) -> [Float] {
      var values = [Float](repeating: 1, count: 3 * group)
      for index in group..<2 * group { values[index] = element == 0 ? 0 : 1 }
      values[group + 5] = element
      return values
    }
    for (element, scale) in [(Float(0), Float(0)), (.infinity, .nan), (-.infinity, .nan), (.nan, .nan)] {
      let storage = rounded(row(element), count: 1, depth: 3 * group, by: set)
      let scales = scales(storage, row: 0, depth: 3 * group)
      #expect(scale.isNaN ? scales[1].isNaN : scales[1] == scale, "\(set.name) \(element): \(scales)")
      #expect(scales[0] > 0 && scales[2] == scales[0], "\(set.name) \(element)")
      #expect(integers(storage, row: 0, depth: 3 * group)[group..<2 * group].allSatisfy { $0 == 0 })
    }
    let tiny = rounded([Float](repeating: 1e-38, count: 9), count: 1, depth: 9, by: set)
    #expect(scales(tiny, row: 0, depth: 9) == [0])
    // One element is the whole length.
    let single = rounded([0, -3e15, 0], count: 1, depth: 3, by: set)
    #expect(integers(single, row: 0, depth: 3).prefix(3) == [0, -32760, 0])
  }

  /// A product of rounded rows, cut along its depth into `parts` and into calls of `rowsPerCall` rows.
  private func multiply(
    _ set: InstructionSet, _ x: [TensorStorage], _ w: [TensorStorage], bias: [Float], rows: Int, columns: Int,
    parts: [Int], rowsPerCall: Int
  ) -> [Float] {
    let kernels = set.kernels.pointee
    let biasTensor = Tensor([.nan] + bias + [.nan], shape: [columns + 2])
    let outputs = Tensor([Float](repeating: 7, count: rows * columns + 1), shape: [rows * columns + 1])
    for (index, depth) in parts.enumerated() {
      let size = fovea_int16_row_size(depth)
      for column in stride(from: 0, to: columns, by: 64) {
        let count = min(64, columns - column)
        let packed = TensorStorage(byteCount: 2 * 64 * size * 4)
        // In two runs, as matrices that share a panel are packed.
        for run in [0..<count / 2, count / 2..<count] {
          var packing = fovea_int16_pack(
            rows: w[index].baseAddress + (column + run.lowerBound) * size * 4, row_stride: size, count: run.count,
            depth: depth, first: run.lowerBound, packed: packed.baseAddress)
          kernels.pack_int16(&packing)
        }
        for first in stride(from: 0, to: rows, by: rowsPerCall) {
          let activations = x[index].baseAddress.assumingMemoryBound(to: Float.self) + first * size
          var work = fovea_packed_linear(
            activations: activations, activation_stride: size,
            activation_scales: activations + fovea_int16_step_count(depth),
            packed: UnsafeRawPointer(packed.baseAddress),
            bias: index == parts.count - 1
              ? UnsafePointer(biasTensor.baseAddress.assumingMemoryBound(to: Float.self)) + 1 + column : nil,
            outputs: outputs.baseAddress.assumingMemoryBound(to: Float.self) + first * columns + column,
            output_stride: columns, row_count: min(rowsPerCall, rows - first), column_count: count, depth: depth,
            continues: index > 0, next: UnsafeRawPointer(packed.baseAddress))
          kernels.packed_linear_int16(&work)
        }
      }
    }
    let got = outputs.floats()
    #expect(got.last == 7, "\(set.name) wrote behind the outputs")
    return Array(got.dropLast())
  }

  /// What the groups of rounded rows give without any further rounding.
  private func products(_ x: TensorStorage, row: Int, _ w: TensorStorage, column: Int, depth: Int) -> [Double] {
    let (a, b) = (integers(x, row: row, depth: depth), integers(w, row: column, depth: depth))
    let (left, right) = (scales(x, row: row, depth: depth), scales(w, row: column, depth: depth))
    return left.indices.map { group in
      let first = group * Int(FOVEA_INT16_GROUP)
      var sum = 0
      for index in first..<min(a.count, first + Int(FOVEA_INT16_GROUP)) { sum += Int(a[index]) * Int(b[index]) }
      return Double(sum) * Double(left[group]) * Double(right[group])
    }
  }

  @Test("products have the sums of the rounded factors, the same bits however they are cut")
  func products() throws {
    for (rows, columns, parts) in [
      (1, 1, [1]), (1, 37, [16]), (5, 16, [130]), (6, 17, [8]), (7, 33, [200]), (11, 64, [128]), (13, 130, [384, 70]),
      (23, 71, [384, 384, 9]), (2, 5, [0]),
    ] {
      let depth = parts.reduce(0, +)
      var random = RandomValues(seed: UInt64(rows * 1009 + columns))
      func values(_ count: Int) -> [Float] { random.values(count).map(Float.init) }
      let (x, w, bias) = (values(rows * depth), values(columns * depth), values(columns))
      // Parts begin with a group, so that rounding them apart is rounding the whole.
      func part(_ values: [Float], _ count: Int, _ index: Int) -> TensorStorage {
        let begin = parts[..<index].reduce(0, +)
        let cut = (0..<count).flatMap { values[$0 * depth + begin..<$0 * depth + begin + parts[index]] }
        return rounded(cut, count: count, depth: parts[index], by: InstructionSet.available[0])
      }
      let (xs, ws) = (parts.indices.map { part(x, rows, $0) }, parts.indices.map { part(w, columns, $0) })
      var expected: [(sum: Double, magnitude: Double)] = []
      for row in 0..<rows {
        for column in 0..<columns {
          let sums = parts.indices.flatMap { index in
            self.products(xs[index], row: row, ws[index], column: column, depth: parts[index])
          }
          let bias = Double(bias[column])
          expected.append((sums.reduce(bias, +), sums.reduce(abs(bias)) { $0 + abs($1) }))
        }
      }
      var first: [Float]?
      for set in InstructionSet.available {
        for rowsPerCall in [rows, 1, 2, 5, 6, 7, 12] {
          let got = multiply(
            set, xs, ws, bias: bias, rows: rows, columns: columns, parts: parts, rowsPerCall: rowsPerCall)
          let what = "\(set.name) \(rows)x\(columns)x\(depth), \(rowsPerCall) rows a call"
          for (value, exact) in zip(got, expected) {
            // A few float32 roundings for each group.
            #expect(abs(Double(value) - exact.sum) <= 4e-7 * exact.magnitude, "\(what)")
          }
          if set.name == "scalar" { continue }
          #expect(got == first ?? got, "\(what)")
          first = first ?? got
        }
      }
    }
  }

  @Test("the largest sums of products fit", arguments: InstructionSet.available)
  func largestSums(set: InstructionSet) {
    for depth in [1, 2, 127, 128, 256] {
      for negative in [false, true] {
        let x = [Float](repeating: 3, count: depth)
        let w = x.map { negative ? -$0 : $0 }
        let got = multiply(
          set, [rounded(x, count: 1, depth: depth, by: set)], [rounded(w, count: 1, depth: depth, by: set)], bias: [0],
          rows: 1, columns: 1, parts: [depth], rowsPerCall: 1)
        let expected = Float(9 * depth) * (negative ? -1 : 1)
        #expect(abs(got[0] - expected) <= 3e-4 * abs(expected), "\(set.name), depth \(depth): \(got[0])")
      }
    }
  }
}

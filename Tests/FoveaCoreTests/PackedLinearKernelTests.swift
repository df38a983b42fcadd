import CFoveaKernels
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct PackedLinearKernelTests {
  /// A product cut along its depth into `parts`, and into calls of `rowsPerCall` rows.
  private func run(
    _ set: InstructionSet, rows: Int, columns: Int, parts: [Int], rowsPerCall: Int, element: ElementType = .float32
  ) throws -> (got: [Double], expected: [Double], magnitude: [Double]) {
    let depth = parts.reduce(0, +)
    var random = RandomValues(seed: UInt64(rows * 1_000_003 + columns * 1009 + depth))
    // A NaN before and after each operand shows any read outside of it.
    let x = Tensor([.nan] + random.values(rows * depth) + [.nan], shape: [rows * depth + 2], elementType: .float32)
    let w = Tensor([.nan] + random.values(columns * depth) + [.nan], shape: [columns * depth + 2], elementType: element)
    let bias = random.values(columns)
    let biasTensor = Tensor([.nan] + bias + [.nan], shape: [columns + 2], elementType: .float32)
    let outputs = Tensor([Float](repeating: 7, count: rows * columns + 1), shape: [rows * columns + 1])
    let kernels = set.kernels.pointee
    let pack = try #require(kernels.pack_keys.0)
    var start = 0
    for (index, part) in parts.enumerated() {
      let packed = TensorStorage(uninitializedByteCount: (columns + 63) / 64 * 64 * part * 4)
      var packing = fovea_pack(
        rows: UnsafeRawPointer(w.baseAddress + (1 + start) * element.byteCount), stride: depth,
        element: element == .float32 ? FOVEA_FLOAT32 : element == .float16 ? FOVEA_FLOAT16 : FOVEA_BFLOAT16,
        count: columns, dimension: part, first: 0, packed: packed.baseAddress)
      _ = pack(&packing)
      let isLast = index == parts.count - 1
      for first in stride(from: 0, to: rows, by: rowsPerCall) {
        let activations = x.baseAddress.assumingMemoryBound(to: Float.self) + (1 + first * depth + start)
        var work = fovea_packed_linear(
          activations: activations,
          activation_stride: depth, activation_scales: nil, packed: UnsafeRawPointer(packed.baseAddress),
          bias: isLast ? UnsafePointer(biasTensor.baseAddress.assumingMemoryBound(to: Float.self)) + 1 : nil,
          outputs: outputs.baseAddress.assumingMemoryBound(to: Float.self) + first * columns, output_stride: columns,
          row_count: min(rowsPerCall, rows - first), column_count: columns, depth: part, continues: index > 0,
          next: index > 0 ? UnsafeRawPointer(packed.baseAddress) : nil)
        kernels.packed_linear(&work)
      }
      start += part
    }
    let (xs, ws) = (x.doubles(), w.doubles())
    var expected: [Double] = []
    var magnitude: [Double] = []
    for row in 0..<rows {
      for column in 0..<columns {
        let products = (0..<depth).map { xs[1 + row * depth + $0] * ws[1 + column * depth + $0] }
        expected.append(products.reduce(Double(Float(bias[column])), +))
        magnitude.append(products.reduce(abs(bias[column])) { $0 + abs($1) })
      }
    }
    let got = outputs.doubles()
    #expect(got.last == 7, "\(set.name) wrote behind the outputs")
    return (Array(got.dropLast()), expected, magnitude)
  }

  @Test("every shape around the tiles agrees with the double-precision product")
  func agrees() throws {
    for set in InstructionSet.available {
      for depth in [0, 1, 5, 16, 17, 33, 96] {
        for (rows, columns) in [(1, 1), (1, 37), (5, 16), (6, 17), (7, 33), (11, 64), (13, 130)] {
          let result = try run(set, rows: rows, columns: columns, parts: [depth], rowsPerCall: rows)
          for index in result.got.indices {
            // A float32 sum of n products errs by at most about n roundings of its magnitude.
            let error = abs(result.got[index] - result.expected[index])
            #expect(
              error <= 6e-8 * Double(depth + 4) * result.magnitude[index],
              "\(set.name) \(rows)x\(columns)x\(depth) at \(index)")
          }
        }
      }
    }
  }

  @Test("rows a call, cuts of the depth and stored types change no bit beyond their own")
  func sameBits() throws {
    for set in InstructionSet.available {
      let whole = try run(set, rows: 23, columns: 71, parts: [75], rowsPerCall: 23)
      for rowsPerCall in [1, 2, 5, 6, 7, 12] {
        let cut = try run(set, rows: 23, columns: 71, parts: [75], rowsPerCall: rowsPerCall)
        #expect(cut.got == whole.got, "\(set.name) \(rowsPerCall) rows a call")
      }
      let parts = try run(set, rows: 23, columns: 71, parts: [32, 40, 3], rowsPerCall: 23)
      #expect(parts.got == whole.got, "\(set.name) in parts")
      for element in [ElementType.float16, .bfloat16] {
        let narrow = try run(set, rows: 8, columns: 20, parts: [40], rowsPerCall: 8, element: element)
        #expect(firstMismatch(narrow.got, narrow.expected, absolute: 1e-4, relative: 1e-5) == nil, "\(element)")
      }
    }
  }
}

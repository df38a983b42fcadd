import CFoveaKernels
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct LinearKernelTests {
  /// An activation and a weight type that tables offer together.
  struct TypePair: CustomStringConvertible, Sendable {
    let activation: ElementType
    let weight: ElementType
    var description: String { "\(activation)·\(weight)" }

    static let all = [
      TypePair(activation: .float32, weight: .float32), TypePair(activation: .float32, weight: .float16),
      TypePair(activation: .float32, weight: .bfloat16), TypePair(activation: .bfloat16, weight: .bfloat16),
    ]

    func kernel(_ set: InstructionSet) -> fovea_linear_kernel? {
      let table = set.kernels.pointee.linear
      let row = activation == .bfloat16 ? table.2 : table.0
      return switch weight {
      case .float16: row.1
      case .bfloat16: row.2
      default: row.0
      }
    }
  }

  /// Activations, weights, bias and results of one product, laid out one element past an aligned start. With panels, the
  /// activations are packed, the first call copies the weights and the others find them.
  private func run(
    _ pair: TypePair, _ set: InstructionSet, rows: Int, columns: Int, depth: Int, rowsPerCall: Int,
    accumulates: Bool = false, usesPanels: Bool = false, weightsRoundedTo roundedType: ElementType? = nil
  ) throws -> (got: [Double], expected: [Double], magnitude: [Double]) {
    var random = RandomValues(seed: UInt64(rows * 1_000_003 + columns * 1009 + depth))
    // A NaN before and after each operand shows any read outside of it.
    let x = Tensor(
      [.nan] + random.values(rows * depth) + [.nan], shape: [rows * depth + 2], elementType: pair.activation)
    let weights = random.values(columns * depth)
    let rounded = Tensor(weights, shape: [weights.count], elementType: roundedType ?? pair.weight).doubles()
    let w = Tensor([.nan] + rounded + [.nan], shape: [columns * depth + 2], elementType: pair.weight)
    let bias = random.values(columns)
    let biasTensor = Tensor(bias, shape: [columns], elementType: .float32)
    let outputs = Tensor([Float](repeating: 2, count: rows * columns), shape: [rows, columns])
    let kernel = try #require(pair.kernel(set))
    let panels = TensorStorage(byteCount: usesPanels ? fovea_linear_panel_byte_count(columns, depth) : 0)
    let packed = TensorStorage(byteCount: usesPanels ? fovea_packed_rows_byte_count(rows, depth) : 0)
    let pack = pair.activation == .float32 ? set.kernels.pointee.pack_rows.0 : set.kernels.pointee.pack_rows.2
    if usesPanels, let pack {
      // The columns in parts, as a phase before may leave them.
      for first in stride(from: 0, to: max(1, depth), by: 64) {
        var work = fovea_row_pack(
          rows: UnsafeRawPointer(x.baseAddress + (1 + first) * pair.activation.byteCount), stride: depth,
          row_count: rows, first: first, column_count: min(64, depth - first), depth: depth,
          packed: packed.baseAddress)
        pack(&work)
      }
    }
    for first in stride(from: 0, to: rows, by: rowsPerCall) {
      let out = outputs.baseAddress.assumingMemoryBound(to: Float.self) + first * columns
      var work = fovea_linear()
      work.activations = UnsafeRawPointer(x.baseAddress + (1 + first * depth) * pair.activation.byteCount)
      work.activation_stride = depth
      work.weights = UnsafeRawPointer(w.baseAddress + pair.weight.byteCount)
      work.weight_stride = depth
      work.bias = UnsafePointer(biasTensor.baseAddress.assumingMemoryBound(to: Float.self))
      work.outputs = out
      work.output_stride = columns
      work.row_count = min(rowsPerCall, rows - first)
      work.column_count = columns
      work.depth = depth
      work.accumulates = accumulates
      if usesPanels, pack != nil {
        let blockByteCount = fovea_packed_rows_byte_count(Int(FOVEA_ROW_BLOCK), depth)
        work.packed_activations = UnsafeRawPointer(
          packed.baseAddress + first / Int(FOVEA_ROW_BLOCK) * blockByteCount)
        work.panels = panels.baseAddress
        work.panels_hold_weights = first > 0
        work.next = work.weights
        work.next_byte_count = columns * depth * pair.weight.byteCount
      }
      kernel(&work)
    }
    let (xs, ws) = (x.doubles(), w.doubles())
    var expected: [Double] = []
    var magnitude: [Double] = []
    for row in 0..<rows {
      for column in 0..<columns {
        var sum = Double(Float(bias[column])) + (accumulates ? 2 : 0)
        var absolute = abs(sum)
        for k in 0..<depth {
          let product = xs[1 + row * depth + k] * ws[1 + column * depth + k]
          sum += product
          absolute += abs(product)
        }
        expected.append(sum)
        magnitude.append(absolute)
      }
    }
    return (outputs.doubles(), expected, magnitude)
  }

  @Test("every shape around the vector width agrees with the double-precision product", arguments: TypePair.all)
  func agrees(pair: TypePair) throws {
    for set in InstructionSet.available {
      for depth in Array(0...35) + [63, 64, 65, 96, 127, 200] {
        for (rows, columns) in [(1, 1), (1, 37), (2, 5), (3, 4), (4, 4), (5, 9), (9, 17)] {
          let result = try run(pair, set, rows: rows, columns: columns, depth: depth, rowsPerCall: rows)
          for index in result.got.indices {
            // A float32 sum of n products errs by at most about n/lanes + log2(lanes) roundings of its magnitude.
            let limit = 1e-6 * result.magnitude[index] + 1e-30
            let error = abs(result.got[index] - result.expected[index])
            #expect(
              error <= limit,
              "\(pair) \(set.name) \(rows)x\(columns)x\(depth) at \(index): \(result.expected[index]), got \(result.got[index])"
            )
          }
        }
      }
    }
  }

  @Test("one row or many give the same bits; accumulating adds to what is there", arguments: TypePair.all)
  func sameBits(pair: TypePair) throws {
    for set in InstructionSet.available {
      let whole = try run(pair, set, rows: 23, columns: 21, depth: 75, rowsPerCall: 23, accumulates: true)
      for rowsPerCall in [1, 2, 3, 7] {
        let cut = try run(pair, set, rows: 23, columns: 21, depth: 75, rowsPerCall: rowsPerCall, accumulates: true)
        #expect(cut.got == whole.got, "\(pair) \(set.name) \(rowsPerCall) rows a call")
      }
      #expect(firstMismatch(whole.got, whole.expected, absolute: 1e-4, relative: 1e-5) == nil)
    }
  }

  @Test("weights that 16 bits hold exactly give the same bits from there", arguments: [ElementType.bfloat16, .float16])
  func sameBitsOfNarrowWeights(type: ElementType) throws {
    for set in InstructionSet.available {
      for (rows, columns, depth, usesPanels) in [(1, 21, 75, false), (7, 33, 600, false), (30, 37, 130, true)] {
        let results = try [ElementType.float32, type].map { weight in
          try run(
            TypePair(activation: .float32, weight: weight), set, rows: rows, columns: columns, depth: depth,
            rowsPerCall: rows, usesPanels: usesPanels, weightsRoundedTo: type
          ).got
        }
        #expect(results[0] == results[1], "\(set.name) \(type) \(rows) rows, \(columns) columns, depth \(depth)")
      }
    }
  }

  @Test("packed rows and weights give the same bits, any part of a block and of the columns", arguments: TypePair.all)
  func sameBitsOfPanels(pair: TypePair) throws {
    for set in InstructionSet.available {
      let shapes = [
        (70, 37, 75), (131, 64, 1500), (9, 40, 1291), (300, 5, 640), (1, 32, 32), (29, 97, 31), (12, 32, 1), (5, 33, 0),
      ]
      for (rows, columns, depth) in shapes {
        let direct = try run(
          pair, set, rows: rows, columns: columns, depth: depth, rowsPerCall: rows, accumulates: rows % 2 == 0)
        for rowsPerCall in [rows, 12, 60] {
          let packed = try run(
            pair, set, rows: rows, columns: columns, depth: depth, rowsPerCall: rowsPerCall,
            accumulates: rows % 2 == 0, usesPanels: true)
          #expect(packed.got == direct.got, "\(pair) \(set.name) \(rows)x\(columns)x\(depth), \(rowsPerCall) a call")
        }
        #expect(firstMismatch(direct.got, direct.expected, absolute: 1e-4, relative: 1e-5) == nil)
      }
    }
  }
}

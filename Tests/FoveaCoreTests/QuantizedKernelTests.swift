import CFoveaKernels
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct QuantizedKernelTests {
  /// How codes are laid out, and the type of their scales.
  struct Format: CustomStringConvertible, Sendable {
    let kind: fovea_quantization
    let bits: Int
    let groupSize: Int
    let scaleType: ElementType
    var description: String { "\(kind == FOVEA_MXFP4 ? "mxfp4" : "affine") \(bits) bits, \(groupSize), \(scaleType)" }

    static let all: [Format] =
      [2, 3, 4, 5, 6, 8].flatMap { bits in
        [(32, ElementType.bfloat16), (64, .float16), (128, .float32)].map {
          Format(kind: FOVEA_AFFINE, bits: bits, groupSize: $0.0, scaleType: $0.1)
        }
      } + [Format(kind: FOVEA_MXFP4, bits: 4, groupSize: 32, scaleType: .uint8)]
  }

  /// Random codes with their scales, and the weights that they stand for, made without the kernels.
  private struct Weights {
    var codeBytes: [UInt8]
    var scales: Tensor
    var biases: Tensor
    var values: [Double]

    init(_ format: Format, columns: Int, depth: Int, random: inout RandomValues) {
      let (groups, bytes) = (depth / format.groupSize, depth * format.bits / 8)
      let codes = random.values(columns * depth).map { Int(abs($0) * 1e6) % (1 << format.bits) }
      codeBytes = [UInt8](repeating: 0, count: columns * bytes)
      for column in 0..<columns {
        for i in 0..<depth {
          for bit in 0..<format.bits where codes[column * depth + i] >> bit & 1 == 1 {
            let position = i * format.bits + bit
            codeBytes[column * bytes + position / 8] |= 1 << UInt8(position % 8)
          }
        }
      }
      if format.kind == FOVEA_MXFP4 {
        let exponents = random.values(columns * groups).map { UInt8(120 + Int(abs($0) * 5)) }
        scales = Tensor(zeros: [columns, groups], elementType: .uint8)
        scales.baseAddress.copyMemory(from: exponents, byteCount: exponents.count)
        biases = scales
        // The 16 values of the format: sign, two bits of exponent, one of fraction.
        let magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        values = codes.indices.map { index in
          let exponent = Int(exponents[index / depth * groups + index % depth / 32]) - 127
          var scale = 1.0
          for _ in 0..<abs(exponent) { scale *= exponent < 0 ? 0.5 : 2 }
          let magnitude = magnitudes[codes[index] & 7] * scale
          return codes[index] >= 8 ? -magnitude : magnitude
        }
        return
      }
      scales = Tensor(random.values(columns * groups), shape: [columns, groups], elementType: format.scaleType)
      biases = Tensor(random.values(columns * groups), shape: [columns, groups], elementType: format.scaleType)
      let (s, b) = (scales.doubles(), biases.doubles())
      values = codes.indices.map { index in
        let group = index / depth * groups + index % depth / format.groupSize
        return s[group] * Double(codes[index]) + b[group]
      }
    }
  }

  /// One product, and what the same arithmetic gives in double precision: activations rounded to bytes by block.
  private func run(
    _ format: Format, _ set: InstructionSet, rows: Int, columns: Int, depth: Int, rowsPerCall: Int,
    activationType: ElementType = .float32, accumulates: Bool = false
  ) -> (got: [Double], expected: [Double], magnitude: [Double]) {
    var random = RandomValues(seed: UInt64(rows * 1_000_003 + columns * 1009 + depth + format.bits))
    var weights = Weights(format, columns: columns, depth: depth, random: &random)
    let x = Tensor(random.values(rows * depth), shape: [rows, depth], elementType: activationType)
    let bias = Tensor(random.values(columns), shape: [columns], elementType: .float32)
    let outputs = Tensor([Float](repeating: 2, count: rows * columns), shape: [rows, columns])
    let kernels = set.kernels.pointee
    let (groups, blocks) = (depth / format.groupSize, depth / 32)
    let codes = Tensor(zeros: [rows * fovea_code_stride(depth)], elementType: .int8)
    let scales = Tensor(zeros: [rows * blocks])
    let sums = Tensor(zeros: [rows * groups])
    let scratch = Tensor(zeros: [fovea_quantized_scratch_byte_count(depth)], elementType: .uint8)
    func floats(_ tensor: Tensor) -> UnsafeMutablePointer<Float> {
      tensor.baseAddress.assumingMemoryBound(to: Float.self)
    }
    var rounding = fovea_activation_codes(
      inputs: UnsafeRawPointer(x.baseAddress), input_stride: depth,
      input_element: activationType.kernelElement, row_count: rows, depth: depth, group_size: format.groupSize,
      bits: UInt32(format.bits), codes: codes.baseAddress.assumingMemoryBound(to: Int8.self), scales: floats(scales),
      sums: floats(sums))
    kernels.activation_codes(&rounding)
    weights.codeBytes.withUnsafeMutableBufferPointer { bytes in
      let matrix = fovea_quantized_matrix(
        codes: UnsafePointer(bytes.baseAddress), code_stride: depth * format.bits / 8,
        scales: UnsafeRawPointer(weights.scales.baseAddress), biases: UnsafeRawPointer(weights.biases.baseAddress),
        scale_stride: groups,
        scale_element: format.kind == FOVEA_MXFP4 ? FOVEA_FLOAT32 : format.scaleType.kernelElement,
        kind: format.kind, bits: UInt32(format.bits), group_size: format.groupSize)
      for first in stride(from: 0, to: rows, by: rowsPerCall) {
        var work = fovea_quantized_linear(
          codes: UnsafePointer(codes.baseAddress.assumingMemoryBound(to: Int8.self) + first * fovea_code_stride(depth)),
          scales: UnsafePointer(floats(scales) + first * blocks), sums: UnsafePointer(floats(sums) + first * groups),
          weights: matrix, bias: UnsafePointer(floats(bias)), outputs: floats(outputs) + first * columns,
          output_stride: columns, row_count: min(rowsPerCall, rows - first), column_count: columns, depth: depth,
          accumulates: accumulates, scratch: scratch.baseAddress)
        kernels.quantized_linear(&work)
      }
    }
    let (xs, bs) = (x.doubles(), bias.doubles())
    var expected: [Double] = []
    var magnitude: [Double] = []
    for row in 0..<rows {
      let rounded = (0..<blocks).flatMap { block -> [Double] in
        let values = xs[row * depth + block * 32..<row * depth + block * 32 + 32]
        let scale = values.reduce(0) { max($0, abs($1)) } / 127
        return values.map { scale == 0 ? 0 : ($0 / scale).rounded(.toNearestOrEven) * scale }
      }
      for column in 0..<columns {
        var (sum, absolute) = (bs[column] + (accumulates ? 2 : 0), 1.0)
        for k in 0..<depth {
          sum += rounded[k] * weights.values[column * depth + k]
          absolute += abs(rounded[k]) * (abs(weights.values[column * depth + k]) + 256)
        }
        expected.append(sum)
        magnitude.append(absolute)
      }
    }
    return (outputs.doubles(), expected, magnitude)
  }

  @Test("products agree with double precision", arguments: Format.all)
  func agrees(format: Format) {
    for set in InstructionSet.available {
      for depth in [128, 256, 384, 640] + (format.groupSize < 128 ? [64, 192, 576] : [])
        + (format.groupSize == 32 ? [32, 96] : [])
      {
        for (rows, columns) in [(1, 1), (1, 16), (1, 37), (2, 33), (3, 20), (4, 16), (7, 5), (11, 20), (13, 64)] {
          let result = run(format, set, rows: rows, columns: columns, depth: depth, rowsPerCall: rows)
          for index in result.got.indices {
            let error = abs(result.got[index] - result.expected[index])
            // A code half way between two may round the other way in float32: one step of one block, hence 1e-4.
            #expect(
              error <= 1e-4 * result.magnitude[index],
              "\(format) \(set.name) \(rows)x\(columns)x\(depth) at \(index): \(result.expected[index]), got \(result.got[index])"
            )
          }
        }
      }
    }
  }

  @Test("one row or many give the same bits, and so does every instruction set", arguments: Format.all)
  func sameBits(format: Format) {
    var first: [Double]?
    for set in InstructionSet.available {
      for rowsPerCall in [23, 1, 2, 3, 4, 7, 9, 11, 14] {
        let result = run(
          format, set, rows: 23, columns: 53, depth: 384, rowsPerCall: rowsPerCall, activationType: .bfloat16,
          accumulates: true)
        if let first {
          #expect(result.got == first, "\(format) \(set.name), \(rowsPerCall) rows a call")
        } else {
          first = result.got
        }
      }
    }
  }

  @Test("a block with an infinity or NaN spoils its own row only")
  func spoiledRows() {
    let format = Format(kind: FOVEA_AFFINE, bits: 4, groupSize: 32, scaleType: .float32)
    for set in InstructionSet.available {
      for spoiler in [Float.nan, .infinity, -.infinity] {
        let depth = 64
        var values = [Float](repeating: 0.5, count: 3 * depth)
        values[depth + 40] = spoiler
        let x = Tensor(values, shape: [3, depth])
        let scales = Tensor(zeros: [3 * 2])
        let sums = Tensor(zeros: [3 * 2])
        let codes = Tensor(zeros: [3 * fovea_code_stride(depth)], elementType: .int8)
        var work = fovea_activation_codes(
          inputs: UnsafeRawPointer(x.baseAddress), input_stride: depth, input_element: FOVEA_FLOAT32, row_count: 3,
          depth: depth, group_size: 32, bits: UInt32(format.bits),
          codes: codes.baseAddress.assumingMemoryBound(to: Int8.self),
          scales: scales.baseAddress.assumingMemoryBound(to: Float.self),
          sums: sums.baseAddress.assumingMemoryBound(to: Float.self))
        set.kernels.pointee.activation_codes(&work)
        #expect(scales.floats().map(\.isNaN) == [false, false, false, true, false, false], "\(set.name) \(spoiler)")
        #expect(sums.floats().map(\.isNaN) == [false, false, false, true, false, false], "\(set.name) \(spoiler)")
      }
    }
  }
}

import CFoveaKernels
import Foundation
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct ElementwiseKernelTests {
  static let floatTypes: [ElementType] = [.float32, .float16, .bfloat16]

  @Test("exp is within 2 units in the last place, exact at 0 and at both infinities, and passes NaN")
  func exponential() {
    var inputs: [Float] = [0, -0.0, -.infinity, .infinity, .nan, -104, -88, 88, 89, -1e30, 1e30]
    for step in 0...20_000 { inputs.append(Float(step) * 0.0088 - 88) }
    for set in InstructionSet.available {
      var outputs = [Float](repeating: -1, count: inputs.count)
      set.kernels.pointee.exponential(inputs, &outputs, inputs.count)
      #expect(outputs[0] == 1 && outputs[1] == 1 && outputs[2] == 0 && outputs[3] == .infinity && outputs[4].isNaN)
      for (input, output) in zip(inputs, outputs) where !input.isNaN {
        let exact = exp(Double(input))
        let wanted = Float(exact)
        let unit = max(Double(wanted.ulp), Double(Float.leastNonzeroMagnitude))
        // Results below the normal range may be flushed.
        if output == wanted || (wanted < 1.2e-38 && output <= 1.2e-38) { continue }
        #expect(abs(Double(output) - exact) <= 2 * unit, "\(set.name) exp(\(input)) = \(output), not \(wanted)")
      }
    }
  }

  @Test("conversion rounds to nearest even as the scalar reference does", arguments: floatTypes)
  func convert(target: ElementType) throws {
    var random = RandomValues(seed: 4)
    var bits: [UInt32] = [0, 0x8000_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x0000_0001, 0x3F80_8000, 0x3F81_8000]
    for exponent in UInt32(90)...150 {
      bits.append(exponent << 23 | UInt32(truncatingIfNeeded: random.next()) & 0x7F_FFFF)
    }
    bits += (0..<500).map { _ in UInt32(truncatingIfNeeded: random.next()) }
    let inputs = Tensor(bits.map { Float(bitPattern: $0) }, shape: [bits.count])
    let scalar = try InstructionSet.named("scalar")
    for set in InstructionSet.available {
      for count in [0, 1, 7, 8, 15, 16, 17, 33, bits.count] {
        func converted(_ set: InstructionSet) -> [UInt8] {
          let output = Tensor(zeros: [bits.count + 1], elementType: target)
          set.kernels.pointee.convert(
            inputs.baseAddress, FOVEA_FLOAT32, output.baseAddress, target.kernelElement, count)
          return Array(UnsafeRawBufferPointer(start: output.baseAddress, count: output.byteCount))
        }
        let (got, expected) = (values(converted(set), target), values(converted(scalar), target))
        #expect(zip(got, expected).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }, "\(set.name) \(count)")
      }
    }
  }

  private func values(_ bytes: [UInt8], _ type: ElementType) -> [Double] {
    let tensor = Tensor(zeros: [bytes.count / type.byteCount], elementType: type)
    tensor.baseAddress.copyMemory(from: bytes, byteCount: bytes.count)
    return tensor.doubles()
  }

  @Test("norm, gated activation, rotation, scaling and log-sum-exp agree with double precision at every length")
  func agree() {
    for set in InstructionSet.available {
      let kernels = set.kernels.pointee
      for count in Array(1...35) + [64, 100, 577] {
        var random = RandomValues(seed: UInt64(count))
        let (a, b, c) = (
          random.values(count).map(Float.init), random.values(count).map(Float.init),
          random.values(count).map(Float.init)
        )
        let output = Tensor(zeros: [count + 1])
        let out = output.baseAddress.assumingMemoryBound(to: Float.self)
        out[count] = 7
        func check(_ expected: [Double], _ what: String, count: Int = count) {
          let got = (0..<count).map { Double(out[$0]) }
          let mismatch = firstMismatch(got, expected, absolute: 2e-6, relative: 2e-6)
          #expect(mismatch == nil, "\(what) \(set.name) \(count) \(mismatch ?? "")")
          #expect(out[output.elementCount - 1] == 7, "\(what) \(set.name) writes past its end")
        }

        var norm = fovea_rms_norm()
        a.withUnsafeBufferPointer { x in
          b.withUnsafeBufferPointer { weight in
            norm.inputs = x.baseAddress
            norm.weight = weight.baseAddress
            norm.input_stride = count
            norm.output_stride = count
            norm.epsilon = 1e-5
            norm.outputs = output.baseAddress
            norm.output_element = FOVEA_FLOAT32
            norm.row_count = 1
            norm.dimension = count
            kernels.rms_norm(&norm)
          }
        }
        let meanSquare = a.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
        let factor = 1 / (meanSquare + Double(Float(1e-5))).squareRoot()
        check(zip(a, b).map { Double($0) * factor * Double($1) }, "norm")

        kernels.silu_multiply(a, b, output.baseAddress, FOVEA_FLOAT32, count)
        check(zip(a, b).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }, "silu")

        kernels.scale(a, 0.3, output.baseAddress, FOVEA_FLOAT32, count)
        check(a.map { Double($0) * Double(Float(0.3)) }, "scale")

        let pairs = count / 2
        kernels.rotate(a, b, c, pairs, count, output.baseAddress, FOVEA_FLOAT32)
        check(
          (0..<count).map { i in
            if i < pairs { return Double(a[i]) * Double(b[i]) - Double(a[i + pairs]) * Double(c[i]) }
            if i < 2 * pairs {
              return Double(a[i]) * Double(b[i - pairs]) + Double(a[i - pairs]) * Double(c[i - pairs])
            }
            return Double(a[i])
          }, "rotate")

        let exact = log(a.reduce(0.0) { $0 + exp(Double($1)) })
        #expect(abs(kernels.log_sum_exp(a, count) - exact) <= 1e-6, "\(set.name) \(count)")
      }
      #expect(kernels.log_sum_exp([], 0) == -.infinity)
      #expect(kernels.log_sum_exp([-.infinity, -.infinity], 2) == -.infinity)
      #expect(abs(kernels.log_sum_exp([-.infinity, 3], 2) - 3) <= 1e-6)
    }
  }
}

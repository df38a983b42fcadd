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

        var layerNorm = fovea_layer_norm()
        a.withUnsafeBufferPointer { x in
          b.withUnsafeBufferPointer { weight in
            c.withUnsafeBufferPointer { bias in
              layerNorm.inputs = x.baseAddress
              layerNorm.weight = weight.baseAddress
              layerNorm.bias = bias.baseAddress
              layerNorm.input_stride = count
              layerNorm.output_stride = count
              layerNorm.epsilon = 1e-5
              layerNorm.outputs = output.baseAddress
              layerNorm.output_element = FOVEA_FLOAT32
              layerNorm.row_count = 1
              layerNorm.dimension = count
              kernels.layer_norm(&layerNorm)
            }
          }
        }
        let mean = a.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = a.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
        let deviation = (variance + Double(Float(1e-5))).squareRoot()
        // A single value less its own mean is 0: nothing to compare but the bias.
        check(
          (0..<count).map { (Double(a[$0]) - mean) / deviation * Double(b[$0]) + Double(c[$0]) }, "layer norm")

        out.update(from: c, count: count)
        kernels.add_scaled(a, 0.3, out, count)
        check(zip(a, c).map { Double($1) + Double($0) * Double(Float(0.3)) }, "add scaled")

        kernels.soft_cap(a, 1.5, out, count)
        check(a.map { 1.5 * tanh(Double($0) / 1.5) }, "soft-cap")

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

  @Test("activations agree with double precision, gated and not, at every length and far from 0")
  func activations() {
    let functions: [(kind: fovea_activation_kind, function: (Double, Double?) -> Double)] = [
      (FOVEA_SILU, { $0 / (1 + exp(-$0)) * ($1 ?? 1) }),
      (FOVEA_GELU, { $0 * erfc(-$0 / 2.0.squareRoot()) / 2 * ($1 ?? 1) }),
      (FOVEA_GELU_TANH, { $0 * (1 + tanh(0.7978845608028654 * ($0 + 0.044715 * $0 * $0 * $0))) / 2 * ($1 ?? 1) }),
      (
        FOVEA_CLAMPED_SWISH,
        { gate, up in
          let bounded = min(gate, 7)
          return bounded / (1 + exp(-Double(Float(1.702)) * bounded)) * (up.map { max(-7, min(7, $0)) + 1 } ?? 1)
        }
      ),
    ]
    for set in InstructionSet.available {
      for count in Array(0...35) + [100] {
        var random = RandomValues(seed: UInt64(count + 1))
        var gate = random.values(count).map { Float($0 * 3) }
        let up = random.values(count).map { Float($0 * 4) }
        for (index, value) in [Float](arrayLiteral: -40, 0, 30, -9, 8.5).enumerated() where index < count {
          gate[index] = value
        }
        for (kind, function) in functions {
          for isGated in [true, false] {
            var outputs = [Float](repeating: 7, count: count + 1)
            gate.withUnsafeBufferPointer { gate in
              up.withUnsafeBufferPointer { up in
                outputs.withUnsafeMutableBytes { outputs in
                  var work = fovea_activation(
                    kind: kind, gate: gate.baseAddress, up: isGated ? up.baseAddress : nil, gain: 1.702, limit: 7,
                    outputs: outputs.baseAddress, output_element: FOVEA_FLOAT32, count: count)
                  set.kernels.pointee.activate(&work)
                }
              }
            }
            let expected = (0..<count).map { function(Double(gate[$0]), isGated ? Double(up[$0]) : nil) }
            let mismatch = firstMismatch(
              outputs.dropLast().map(Double.init), expected, absolute: 4e-6, relative: 2e-6)
            #expect(mismatch == nil, "\(set.name) kind \(kind.rawValue) \(count) \(mismatch ?? "")")
            #expect(outputs[count] == 7, "\(set.name) kind \(kind.rawValue) writes past its end")
          }
        }
      }
    }
  }
}

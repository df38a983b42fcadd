import CFovea
import FoveaAttention
import FoveaCore
import FoveaTestSupport
import Testing

/// A DLPack description of a tensor's memory, valid inside `body`.
private func withDLTensor<Result>(
  _ tensor: Tensor, change: (inout DLTensor) -> Void = { _ in },
  _ body: (UnsafeMutablePointer<DLTensor>) throws -> Result
) rethrows -> Result {
  var shape = tensor.shape.map(Int64.init)
  var strides = tensor.strides.map(Int64.init)
  let (code, bits): (Int, UInt8) =
    switch tensor.elementType {
    case .bfloat16: (Int(kDLBfloat), 16)
    case .bool: (Int(kDLBool), 8)
    default: (Int(kDLFloat), UInt8(tensor.elementType.byteCount * 8))
    }
  return try shape.withUnsafeMutableBufferPointer { shape in
    try strides.withUnsafeMutableBufferPointer { strides in
      var description = DLTensor(
        data: tensor.storage.baseAddress, device: DLDevice(device_type: DLDeviceType(kDLCPU), device_id: 0),
        ndim: Int32(tensor.shape.count), dtype: DLDataType(code: UInt8(code), bits: bits, lanes: 1),
        shape: shape.baseAddress, strides: strides.baseAddress, byte_offset: UInt64(tensor.byteOffset))
      change(&description)
      return try withExtendedLifetime(tensor) { try body(&description) }
    }
  }
}

private func options(_ change: (inout fovea_attention_options) -> Void) -> fovea_attention_options {
  var options = fovea_attention_options()
  options.struct_size = MemoryLayout<fovea_attention_options>.size
  change(&options)
  return options
}

@Suite struct AttentionTests {
  private func tensors(_ elementType: ElementType) -> [Tensor] {
    var random = RandomValues(seed: 6)
    return [[1, 4, 5, 16], [1, 2, 9, 16], [1, 2, 9, 16]].map {
      Tensor(random.values($0.reduce(1, *)), shape: $0, elementType: elementType)
    }
  }

  @Test(
    "the exported op gives the bits of the Swift op, in place, for every type",
    arguments: [
      ElementType.float32, .float16, .bfloat16, .float64,
    ])
  func sameBits(elementType: ElementType) throws {
    let inputs = tensors(elementType)
    let mask = Tensor((0..<45).map { $0 % 4 != 1 }, shape: [5, 9])
    let sinks = Tensor([0.5, -1, 2, 0], shape: [4], elementType: elementType)
    let expected = try scaledDotProductAttention(
      queries: inputs[0], keys: inputs[1], values: inputs[2], scale: 0.25, mask: .array(mask), sinks: sinks,
      options: AttentionOptions(window: 6, softCap: 20), on: ComputeStream(threadCount: 2))
    // Every other row of a larger array, so that strides and byte offset count.
    let room = Tensor(zeros: [1, 4, 10, 16], elementType: elementType)
    let output = Tensor(
      storage: room.storage, byteOffset: 16 * elementType.byteCount, elementType: elementType, shape: [1, 4, 5, 16],
      strides: [640, 160, 32, 1])
    let status = withDLTensor(inputs[0]) { queries in
      withDLTensor(inputs[1]) { keys in
        withDLTensor(inputs[2]) { values in
          withDLTensor(mask) { mask in
            withDLTensor(sinks) { sinks in
              withDLTensor(output) { output in
                var settings = options {
                  $0.mask_kind = fovea_mask_kind(FOVEA_MASK_ARRAY)
                  $0.mask = UnsafePointer(mask)
                  $0.sinks = UnsafePointer(sinks)
                  $0.window = 6
                  $0.soft_cap = 20
                  $0.thread_count = 2
                }
                return fovea_attention(queries, keys, values, 0.25, &settings, output, nil)
              }
            }
          }
        }
      }
    }
    #expect(status == FOVEA_OK, "\(String(cString: fovea_last_error()))")
    #expect(output.doubles() == expected.doubles())
    let between = Tensor(
      storage: room.storage, elementType: elementType, shape: [1, 4, 5, 16], strides: [640, 160, 32, 1])
    #expect(between.doubles().allSatisfy { $0 == 0 })
  }

  @Test("log-sum-exp is written; an output whose last axis is not contiguous is filled")
  func transposedOutput() throws {
    let inputs = tensors(.float32)
    let expected = try scaledDotProductAttentionWithLogSumExp(
      queries: inputs[0], keys: inputs[1], values: inputs[2], scale: 1)
    let output = Tensor(zeros: [1, 4, 16, 5]).transposed([0, 1, 3, 2])
    let logSumExp = Tensor(zeros: [1, 4, 5])
    let status = withDLTensor(inputs[0]) { queries in
      withDLTensor(inputs[1]) { keys in
        withDLTensor(inputs[2]) { values in
          withDLTensor(output) { output in
            withDLTensor(logSumExp) { fovea_attention(queries, keys, values, 1, nil, output, $0) }
          }
        }
      }
    }
    #expect(status == FOVEA_OK)
    #expect(output.floats() == expected.outputs.floats() && logSumExp.floats() == expected.logSumExp.floats())
  }

  /// Calls with one thing changed; gives the status and the error's text.
  private func call(
    queries change: (inout DLTensor) -> Void = { _ in }, _ settings: fovea_attention_options? = nil,
    output: Tensor = Tensor(zeros: [1, 4, 5, 16])
  ) -> (status: fovea_status, message: String) {
    let inputs = tensors(.float32)
    let status = withDLTensor(inputs[0], change: change) { queries in
      withDLTensor(inputs[1]) { keys in
        withDLTensor(inputs[2]) { values in
          withDLTensor(output) { output in
            guard var settings else { return fovea_attention(queries, keys, values, 1, nil, output, nil) }
            return fovea_attention(queries, keys, values, 1, &settings, output, nil)
          }
        }
      }
    }
    return (status, String(cString: fovea_last_error()))
  }

  @Test("bad tensors give a status and a text, never a crash")
  func badTensors() {
    let invalid = fovea_status(FOVEA_INVALID_ARGUMENT)
    let unsupported = fovea_status(FOVEA_UNSUPPORTED)
    #expect(fovea_attention(nil, nil, nil, 1, nil, nil, nil) == invalid)
    #expect(String(cString: fovea_last_error()) == "queries is null")
    #expect(call(queries: { $0.data = nil }) == (invalid, "queries has no data"))
    #expect(call(queries: { $0.shape = nil }).status == invalid)
    #expect(call(queries: { $0.ndim = 3 }).message.contains("must have 4 dimensions"))
    #expect(call(queries: { $0.ndim = -1 }).status == invalid)
    #expect(call(queries: { $0.ndim = 1000 }).status == invalid)
    #expect(call(queries: { $0.shape[2] = -5 }).message.contains("negative"))
    #expect(call(queries: { $0.shape[2] = Int64.max }).message.contains("too large"))
    #expect(call(queries: { $0.strides[2] = Int64.max }).message.contains("too large"))
    #expect(call(queries: { $0.device.device_type = 2 }).status == unsupported)
    #expect(call(queries: { $0.dtype.lanes = 4 }).status == unsupported)
    #expect(call(queries: { $0.dtype.code = UInt8(kDLInt) }).status == unsupported)
    #expect(call(output: Tensor(zeros: [1, 4, 5, 8])).message.contains("output must be of shape [1, 4, 5, 16]"))
    #expect(call(output: Tensor(zeros: [1, 4, 5, 16], elementType: .float16)).status == invalid)
    #expect(call(queries: { $0.strides = nil }).status == fovea_status(FOVEA_OK))
  }

  @Test("bad options give a status and a text")
  func badOptions() {
    let invalid = fovea_status(FOVEA_INVALID_ARGUMENT)
    #expect(call(options { $0.struct_size = 8 }).message.contains("struct_size of the attention options is 8"))
    #expect(call(options { $0.mask_kind = 7 }).status == invalid)
    #expect(call(options { $0.mask_kind = fovea_mask_kind(FOVEA_MASK_ARRAY) }).message == "mask is null")
    #expect(call(options { $0.window = -1 }).status == invalid)
    #expect(call(options { $0.soft_cap = -1 }).message.contains("soft-cap"))
    #expect(call(options { $0.thread_count = -1 }).status == invalid)
    #expect(call(options { _ in }).status == fovea_status(FOVEA_OK))
    #expect(String(cString: fovea_status_name(invalid)) == "invalid argument")
  }
}

import CFoveaKernels
import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct CodedKernelTests {
  static let blockLength = Int(FOVEA_KEY_BLOCK)

  static let formats = [(8, 32), (8, 64), (4, 32), (4, 64)].flatMap { bits, groupSize in
    [4, 16, 48, 64, 80, 100, 128, 256].map {
      fovea_code_format(bits: UInt32(bits), group_size: groupSize, dimension: $0)
    }
  }

  /// A block of one instruction set, between two guards.
  private func block(
    _ set: InstructionSet, _ format: fovea_code_format, _ keys: Tensor, _ values: Tensor
  ) -> [UInt8] {
    var format = format
    let byteCount = fovea_coded_block_byte_count(&format)
    let storage = TensorStorage(byteCount: byteCount + 128)
    storage.baseAddress.initializeMemory(as: UInt8.self, repeating: 0xA5, count: byteCount + 128)
    let element = keys.elementType == .float32 ? FOVEA_FLOAT32 : FOVEA_BFLOAT16
    var work = fovea_code_block(
      format: format, keys: keys.baseAddress, key_stride: format.dimension, values: values.baseAddress,
      value_stride: format.dimension, element: element, block: storage.baseAddress + 64)
    set.kernels.pointee.code_block(&work)
    let bytes = [UInt8](UnsafeRawBufferPointer(start: storage.baseAddress, count: byteCount + 128))
    #expect(bytes[..<64].allSatisfy { $0 == 0xA5 } && bytes[(byteCount + 64)...].allSatisfy { $0 == 0xA5 })
    return Array(bytes[64..<byteCount + 64])
  }

  private func decoded(_ format: fovea_code_format, _ block: [UInt8], _ position: Int) -> (key: [Float], value: [Float])
  {
    var format = format
    var key = [Float](repeating: 7, count: format.dimension)
    var value = key
    block.withUnsafeBytes { fovea_decode_position(&format, $0.baseAddress, position, &key, &value) }
    return (key, value)
  }

  private func rows(_ format: fovea_code_format, _ type: ElementType, _ random: inout RandomValues) -> Tensor {
    let count = Self.blockLength * format.dimension
    return Tensor(random.values(count), shape: [Self.blockLength, format.dimension], elementType: type)
  }

  @Test("numbers come back within half a step, and the codes are the same bytes on every instruction set")
  func rounding() {
    for format in Self.formats {
      for type in [ElementType.float32, .bfloat16] {
        var random = RandomValues(seed: UInt64(format.dimension))
        let (keys, values) = (rows(format, type, &random), rows(format, type, &random))
        let block = block(InstructionSet.available[0], format, keys, values)
        for set in InstructionSet.available { #expect(self.block(set, format, keys, values) == block, "\(set.name)") }
        let (k, v) = (keys.doubles(), values.doubles())
        let (dimension, group) = (format.dimension, format.group_size)
        func span(_ numbers: some Sequence<Double>) -> Double {
          let numbers = Array(numbers)
          // The bias is cut to 8 bits of fraction, the scale rounded up to as many.
          return (numbers.max()! - numbers.min()! + abs(numbers.min()!) / 128) * 1.01
        }
        let steps = Double(1 << format.bits - 1)
        var wrongCount = 0
        for position in 0..<Self.blockLength {
          let (key, value) = decoded(format, block, position)
          for i in 0..<dimension {
            let first = position / group * group
            let keySpan = span((first..<first + group).lazy.map { k[$0 * dimension + i] })
            let error = abs(Double(key[i]) - k[position * dimension + i])
            if !(error <= 0.501 * keySpan / steps) { wrongCount += 1 }
          }
          for first in stride(from: 0, to: dimension, by: group) {
            let run = position * dimension + first..<position * dimension + min(dimension, first + group)
            let valueSpan = span(v[run])
            for index in run {
              let error = abs(Double(value[index - position * dimension]) - v[index])
              if !(error <= 0.501 * valueSpan / steps) { wrongCount += 1 }
            }
          }
        }
        #expect(wrongCount == 0, "\(format) \(type)")
      }
    }
  }

  @Test("equal numbers are exact; NaN, infinity and what is too large make their group NaN and no other")
  func notFinite() {
    for spoiler in [Double.nan, .infinity, -.infinity, 2e38] {
      for format in Self.formats where format.dimension == 48 || format.dimension == 100 {
        let count = Self.blockLength * format.dimension
        var (k, v) = ([Double](repeating: -1.5, count: count), [Double](repeating: 0.375, count: count))
        k[70 * format.dimension + 3] = spoiler
        v[9 * format.dimension + 40] = spoiler
        let shape = [Self.blockLength, format.dimension]
        for set in InstructionSet.available {
          let block = block(
            set, format, Tensor(k, shape: shape, elementType: .float32), Tensor(v, shape: shape, elementType: .float32))
          var wrongCount = 0
          for position in 0..<Self.blockLength {
            let (key, value) = decoded(format, block, position)
            for i in 0..<format.dimension {
              let isSpoiledKey = i == 3 && position / format.group_size == 70 / format.group_size
              if isSpoiledKey ? !key[i].isNaN : key[i] != -1.5 { wrongCount += 1 }
              let isSpoiledValue = position == 9 && i / format.group_size == 40 / format.group_size
              if isSpoiledValue ? !value[i].isNaN : value[i] != 0.375 { wrongCount += 1 }
            }
          }
          #expect(wrongCount == 0, "\(set.name) \(format) \(spoiler)")
        }
      }
    }
  }

  /// The results of attention over a block for rows that see different runs of it.
  private func attend(
    _ set: InstructionSet, _ format: fovea_code_format, _ block: [UInt8], _ queries: [Float], visible: [Range<Int>],
    softCap: Float = 0, mask: [Float]? = nil
  ) -> [[Double]] {
    var format = format
    let padded = fovea_coded_dimension(&format)
    let rowCount = visible.count
    let scratch = TensorStorage(uninitializedByteCount: fovea_coded_scratch_byte_count(&format))
    let coded = TensorStorage(uninitializedByteCount: block.count)
    coded.baseAddress.copyMemory(from: block, byteCount: block.count)
    var maxima = [Float](repeating: -.infinity, count: rowCount)
    var sums = [Float](repeating: 0, count: rowCount)
    var outputs = [Float](repeating: 0, count: rowCount * padded)
    let (begins, ends) = (visible.map { Int32($0.lowerBound) }, visible.map { Int32($0.upperBound) })
    var rows = [Float](repeating: 0, count: rowCount * padded)
    for row in 0..<rowCount {
      for i in 0..<format.dimension { rows[row * padded + i] = queries[row * format.dimension + i] }
    }
    func run(_ mask: UnsafePointer<Float>?) {
      maxima.withUnsafeMutableBufferPointer { maxima in
        sums.withUnsafeMutableBufferPointer { sums in
          outputs.withUnsafeMutableBufferPointer { outputs in
            begins.withUnsafeBufferPointer { begins in
              ends.withUnsafeBufferPointer { ends in
                rows.withUnsafeBufferPointer { rows in
                  var attention = fovea_attention_block()
                  attention.row_count = rowCount
                  attention.key_count = Self.blockLength
                  attention.dimension = format.dimension
                  attention.value_dimension = format.dimension
                  attention.scale = 0.125
                  attention.soft_cap = softCap
                  attention.visible_begin = begins.baseAddress
                  attention.visible_end = ends.baseAddress
                  attention.mask = mask
                  attention.maxima = maxima.baseAddress
                  attention.sums = sums.baseAddress
                  attention.outputs = outputs.baseAddress
                  attention.scratch = scratch.baseAddress
                  var work = fovea_coded_attention(
                    block: attention, format: format, coded: UnsafeRawPointer(coded.baseAddress),
                    queries: rows.baseAddress)
                  set.kernels.pointee.coded_attention(&work)
                }
              }
            }
          }
        }
      }
    }
    if let mask { mask.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
    return (0..<rowCount).map { row in
      (0..<format.dimension).map { sums[row] == 0 ? 0 : Double(outputs[row * padded + $0] / sums[row]) }
    }
  }

  static let ranges = [0..<256, 3..<256, 0..<1, 255..<256, 100..<100, 17..<33, 0..<255, 31..<200, 130..<131]

  @Test("attention over codes is that over the numbers they stand for; a row has the same bits alone")
  func attention() {
    for format in Self.formats {
      var random = RandomValues(seed: UInt64(format.dimension) + 1)
      let (keys, values) = (rows(format, .float32, &random), rows(format, .float32, &random))
      let queries = random.values(Self.ranges.count * format.dimension).map(Float.init)
      let mask = random.values(Self.ranges.count * Self.blockLength).map { $0 > 1 ? -Float.infinity : Float($0) }
      let block = block(InstructionSet.available[0], format, keys, values)
      let numbers = (0..<Self.blockLength).map { decoded(format, block, $0) }
      var cases: [(softCap: Float, mask: [Float]?)] = [(0, nil)]
      if format.dimension == 64 { cases += [(3, nil), (0, mask)] }
      for (softCap, mask) in cases {
        let expected = Self.ranges.indices.map { row in
          referenceAttention(
            queries: [queries[row * format.dimension..<(row + 1) * format.dimension].map(Double.init)],
            keys: numbers.map { $0.key.map(Double.init) }, values: numbers.map { $0.value.map(Double.init) },
            valueDimension: format.dimension, scale: 0.125, softCap: softCap > 0 ? Double(softCap) : nil
          ) { _, key in
            guard Self.ranges[row].contains(key) else { return nil }
            guard let mask else { return 0 }
            let added = Double(mask[row * Self.blockLength + key])
            return added == -.infinity ? nil : added
          }[0]
        }
        for set in InstructionSet.available {
          let got = attend(set, format, block, queries, visible: Self.ranges, softCap: softCap, mask: mask)
          // Factors of 14 and 15 bits, and some of the numbers are large.
          let mismatch = firstMismatch(got.flatMap { $0 }, expected.flatMap { $0 }, absolute: 4e-3, relative: 4e-3)
          #expect(mismatch == nil, "\(set.name) \(format) \(mismatch ?? "")")
          guard mask == nil else { continue }
          for row in Self.ranges.indices {
            let query = Array(queries[row * format.dimension..<(row + 1) * format.dimension])
            let alone = attend(set, format, block, query, visible: [Self.ranges[row]], softCap: softCap)
            #expect(alone[0] == got[row], "\(set.name) \(format) row \(row)")
          }
        }
      }
    }
  }

  @Test("a NaN reaches the rows that see its group of keys, or its value, and no other")
  func notFiniteAttention() {
    for format in Self.formats where format.dimension == 64 {
      var random = RandomValues(seed: 5)
      let (k, v) = (random.values(256 * 64), random.values(256 * 64))
      var (spoiledKeys, spoiledValues) = (k, v)
      spoiledKeys[200 * 64 + 5] = .nan
      spoiledValues[60 * 64 + 5] = .infinity
      let queries = random.values(3 * 64).map(Float.init)
      let visible = [0..<50, 70..<190, 0..<256]
      for set in InstructionSet.available {
        let results = [(k, v), (spoiledKeys, v), (k, spoiledValues)].map { keys, values in
          let tensors = [keys, values].map { Tensor($0, shape: [256, 64], elementType: .float32) }
          return attend(set, format, block(set, format, tensors[0], tensors[1]), queries, visible: visible)
        }
        for result in results[1...] {
          #expect(Array(result[..<2]) == Array(results[0][..<2]), "\(set.name)")
        }
        #expect(results[1][2].allSatisfy { $0.isNaN } && results[2][2][5].isNaN, "\(set.name)")
        var spoiledQueries = queries
        spoiledQueries[64] = .nan
        let tensors = [k, v].map { Tensor($0, shape: [256, 64], elementType: .float32) }
        let result = attend(set, format, block(set, format, tensors[0], tensors[1]), spoiledQueries, visible: visible)
        #expect(result[0] == results[0][0] && result[1].allSatisfy { $0.isNaN } && result[2] == results[0][2])
      }
    }
  }
}

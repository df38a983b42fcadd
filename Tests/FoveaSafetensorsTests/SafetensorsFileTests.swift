import FoveaCore
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct SafetensorsFileTests {
  static let allTypes = "all-types.safetensors"

  @Test("tensors of every type that the reference wrote are read as they are")
  func everyType() throws {
    let file = try SafetensorsFile.open(fixture(Self.allTypes))
    #expect(file.names.count == 19)
    #expect(file.metadata == ["format": "pt \"quoted\" \\ \u{1} é\n"])
    let floats: [ElementType: [Double]] = [
      .float16: [0, -1.5, 65504, .infinity, -.infinity, 0x1p-14],
      .bfloat16: [0, -1.5, 65536, .infinity, -.infinity, 0x1p-14],
      .float32: [0, -1.5, 65504, .infinity, -.infinity, 0x1p-14],
      .float64: [0, -1.5, 65504, .infinity, -.infinity, 0x1p-14],
      .bool: [1, 0, 1, 0, 1, 1],
    ]
    let limits: [ElementType: (Double, Double)] = [
      .uint8: (0, 255), .int8: (-128, 127), .uint16: (0, 65535), .int16: (-32768, 32767),
      .uint32: (0, 0xFFFF_FFFF), .int32: (-0x8000_0000, 0x7FFF_FFFF), .uint64: (0, 0x1p64), .int64: (-0x1p63, 0x1p63),
    ]
    for type in ElementType.allCases {
      let tensor = try file.tensor(type.rawValue, shape: [2, 3], elementTypes: [type])
      let expected = floats[type] ?? limits[type].map { [0, 1, 2, 3, $0.0, $0.1] }
      #expect(tensor.doubles() == expected, "\(type)")
      #expect(tensor.storage.isReadOnly)
    }
    #expect(try file.tensor("scalar").shape == [] && file.tensor("scalar").doubles() == [7.25])
    #expect(try file.tensor("empty").shape == [0, 3] && file.tensor("empty").doubles() == [])
    #expect(try file.tensor("empty.int8").shape == [2, 0, 5])
    #expect(try file.tensor("odd \"name\" \\ \t\u{1F} é 日本 🎉 /").doubles() == [1, 2, 3])
  }

  @Test("a file without tensors opens")
  func noTensors() throws {
    let file = try SafetensorsFile.open(fixture("no-tensors.safetensors"))
    #expect(file.names == [] && file.byteCount == 0 && file.metadata == [:])
  }

  @Test("a tensor outlives the file it came from")
  func lifetime() throws {
    let tensor = try SafetensorsFile.open(fixture(Self.allTypes)).tensor("float32")
    #expect(tensor.doubles()[1] == -1.5)
  }

  @Test("a misaligned tensor is copied to where its elements are aligned")
  func misaligned() throws {
    // 61 bytes of header put the data at byte 69.
    let header = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    for padding in 0..<8 {
      let padded = header + String(repeating: " ", count: padding)
      let file = try SafetensorsFile(
        bytes: fileBytes(padded, data: [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]), name: "misaligned")
      let tensor = try file.tensor("a")
      #expect(tensor.floats() == [1, -2])
      #expect(Int(bitPattern: tensor.baseAddress) % 4 == 0)
    }
  }

  @Test("asking for an absent tensor, another shape or another type names the tensor and both")
  func access() throws {
    let path = try fixture(Self.allTypes)
    let file = try SafetensorsFile.open(path)
    #expect(file.contains("int8") && !file.contains("absent"))
    let missing = safetensorsError { _ = try file.tensor("absent") }
    #expect(missing?.kind == .missingTensor && missing?.tensor == "absent" && missing?.category == .missingInput)
    let shape = safetensorsError { _ = try file.tensor("int8", shape: [3, 2], elementTypes: [.int8]) }
    #expect(shape?.kind == .wrongShape)
    #expect(shape?.description == "\(path): tensor 'int8' has shape [2, 3], expected [3, 2]")
    let type = safetensorsError { _ = try file.tensor("int8", shape: [2, 3], elementTypes: [.float16, .float32]) }
    #expect(type?.kind == .wrongElementType)
    #expect(type?.description == "\(path): tensor 'int8' has elements of int8, expected float16 or float32")
  }

  @Test("absent files, folders, pipes and paths with NUL are refused with the reason")
  func unreadable() throws {
    try withTemporaryFolder { folder in
      let absent = safetensorsError { _ = try SafetensorsFile.open(folder + "/absent.safetensors") }
      #expect(absent?.kind == .missingFile && absent?.category == .missingInput)
      let directory = safetensorsError { _ = try SafetensorsFile.open(folder) }
      #expect(directory?.kind == .unreadableFile && directory?.message == "is a folder, not a file")
      let device = safetensorsError { _ = try SafetensorsFile.open("/dev/null") }
      #expect(device?.kind == .unreadableFile && device?.message == "is not a regular file")
      let nul = safetensorsError { _ = try SafetensorsFile.open(folder + "/a\0b") }
      #expect(nul?.kind == .unreadableFile)
      try writeFile([], to: folder + "/empty")
      #expect(safetensorsError { _ = try SafetensorsFile.open(folder + "/empty") }?.kind == .malformedHeader)
    }
  }

  @Test("a file cut short anywhere is refused")
  func truncated() throws {
    let bytes = try bytes(ofFile: fixture(Self.allTypes))
    let headerEnd = 8 + Int(bytes[0]) + Int(bytes[1]) << 8
    #expect(headerEnd < bytes.count)
    for length in 0..<headerEnd {
      #expect(openingError(Array(bytes[..<length]))?.kind == .malformedHeader, "\(length) bytes")
    }
    let step = max(1, (bytes.count - headerEnd) / 20)
    for length in stride(from: headerEnd, to: bytes.count, by: step) {
      #expect(openingError(Array(bytes[..<length]))?.kind == .invalidLayout, "\(length) bytes")
    }
    try withTemporaryFolder { folder in
      try writeFile(Array(bytes.dropLast()), to: folder + "/cut.safetensors")
      #expect(
        safetensorsError { _ = try SafetensorsFile.open(folder + "/cut.safetensors") }?.kind == .invalidLayout)
    }
  }

  @Test("a header of 100 000 tensors opens")
  func manyTensors() throws {
    var members: [String] = []
    for index in 0..<100_000 {
      members.append(
        #""model.layers.\#(index).self_attn.q_proj.weight":{"dtype":"U8","shape":[1],"#
          + #""data_offsets":[\#(index),\#(index + 1)]}"#)
    }
    let bytes = fileBytes("{" + members.joined(separator: ",") + "}", data: [UInt8](repeating: 7, count: 100_000))
    let file = try SafetensorsFile(bytes: bytes, name: "many")
    #expect(file.names.count == 100_000)
    #expect(file.byteCount == 100_000)
  }
}

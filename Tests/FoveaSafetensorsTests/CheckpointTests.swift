import Foundation
import FoveaCore
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct CheckpointTests {
  private func tensor(_ value: Float) -> Tensor { Tensor([value], shape: [1]) }

  /// A folder with the shards and index given.
  private func withShards(
    _ shards: [String: [String: Tensor]], index: String, _ body: (String) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      for (name, tensors) in shards { try SafetensorsWriter.write(tensors, to: "\(folder)/\(name)") }
      try writeFile(index, to: folder + "/model.safetensors.index.json")
      try body(folder)
    }
  }

  private let goodIndex = #"{"metadata":{"total_size":1},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#

  @Test("one file and shards give the same tensors", arguments: [1, 2, 5])
  func sameTensors(shardCount: Int) throws {
    let tiny = TinyCheckpoint()
    try withTemporaryFolder { folder in
      try tiny.write(to: folder, shardCount: shardCount)
      let checkpoint = try Checkpoint.open(folder: folder)
      #expect(checkpoint.files.count == shardCount)
      #expect(checkpoint.names.sorted() == tiny.tensors.keys.sorted())
      #expect(checkpoint.byteCount == tiny.tensors.values.reduce(0) { $0 + $1.byteCount })
      for (name, expected) in tiny.tensors {
        let found = try checkpoint.tensor(name, shape: expected.shape, elementTypes: [.float32])
        #expect(found.floats() == expected.floats())
      }
    }
  }

  @Test("the model that the repository holds opens")
  func bundledModel() throws {
    let folder = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/Models/storyteller-15m"
    let checkpoint = try Checkpoint.open(folder: folder)
    #expect(checkpoint.byteCount == 29_111_040 && checkpoint.files.count == 2)
    _ = try checkpoint.tensor("model.norm.weight", shape: [384], elementTypes: [.bfloat16])
  }

  @Test("a folder without a model, or that is none, is missing input")
  func noModel() throws {
    try withTemporaryFolder { folder in
      let empty = safetensorsError { _ = try Checkpoint.open(folder: folder) }
      #expect(empty?.kind == .missingFile && empty?.category == .missingInput)
      #expect(empty?.description == "\(folder): has neither model.safetensors nor model.safetensors.index.json")
      #expect(safetensorsError { _ = try Checkpoint.open(folder: folder + "/absent") }?.kind == .missingFile)
    }
  }

  @Test("a missing shard is named")
  func missingShard() throws {
    try withShards(["1.safetensors": ["a": tensor(1)]], index: goodIndex) { folder in
      let error = safetensorsError { _ = try Checkpoint.open(folder: folder) }
      #expect(error?.kind == .missingFile && error?.file == folder + "/2.safetensors")
    }
  }

  @Test("a tensor that is listed but absent, or in another shard than listed, is named")
  func absentTensor() throws {
    for second in [["c": tensor(2)], ["c": tensor(2), "b": tensor(3)]] {
      let index = goodIndex.replacing("\"b\":", with: second.count == 1 ? "\"b\":" : "\"a2\":")
      try withShards(["1.safetensors": ["a": tensor(1)], "2.safetensors": second], index: index) { folder in
        let error = safetensorsError { _ = try Checkpoint.open(folder: folder) }
        #expect(error?.kind == .malformedIndex && error?.tensor == (second.count == 1 ? "b" : "a2"))
      }
    }
    let shards = ["1.safetensors": ["b": tensor(1)], "2.safetensors": ["a": tensor(2)]]
    try withShards(shards, index: goodIndex) { folder in
      #expect(safetensorsError { _ = try Checkpoint.open(folder: folder) }?.tensor == "a")
    }
  }

  @Test("a tensor in two shards is refused, one that the index leaves out is read")
  func twoShardsAndExtra() throws {
    let twice = ["1.safetensors": ["a": tensor(1)], "2.safetensors": ["a": tensor(1), "b": tensor(2)]]
    try withShards(twice, index: goodIndex) { folder in
      let error = safetensorsError { _ = try Checkpoint.open(folder: folder) }
      #expect(error?.kind == .malformedIndex && error?.tensor == "a")
    }
    let extra = ["1.safetensors": ["a": tensor(1)], "2.safetensors": ["b": tensor(2), "extra": tensor(3)]]
    try withShards(extra, index: goodIndex) { folder in
      let values = try Checkpoint.open(folder: folder).tensor("extra").floats()
      #expect(values == [3])
    }
  }

  @Test(
    "shard names cannot lead out of the folder",
    arguments: [
      "../1.safetensors", "/etc/passwd", "sub/1.safetensors", #"sub\\1.safetensors"#, "..", ".", "",
      #"1.safetensors\u0000"#,
    ])
  func escapingNames(name: String) throws {
    try withShards([:], index: #"{"weight_map":{"a":"\#(name)"}}"#) { folder in
      let error = safetensorsError { _ = try Checkpoint.open(folder: folder) }
      #expect(error?.kind == .malformedIndex && error?.tensor == "a", "\(error?.description ?? "no error")")
    }
  }

  @Test(
    "an index that breaks its rules is refused",
    arguments: [
      "", "{", "[]", "{}", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":{}}x"#,
      #"{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}"#,
    ])
  func malformedIndex(index: String) throws {
    try withShards([:], index: index) { folder in
      let error = safetensorsError { _ = try Checkpoint.open(folder: folder) }
      #expect(error?.kind == .malformedIndex && error?.file == folder + "/model.safetensors.index.json")
    }
  }

  @Test("a folder in the place of the file is unreadable, not absent")
  func folderAsFile() throws {
    try withTemporaryFolder { outer in
      try withShards([:], index: goodIndex) { folder in
        try FileManager.default.createSymbolicLink(
          atPath: folder + "/model.safetensors", withDestinationPath: outer)
        #expect(safetensorsError { _ = try Checkpoint.open(folder: folder) }?.kind == .unreadableFile)
      }
    }
  }

  @Test("wrong shapes and absent tensors are named")
  func access() throws {
    try withTemporaryFolder { folder in
      try TinyCheckpoint().write(to: folder)
      let checkpoint = try Checkpoint.open(folder: folder)
      #expect(checkpoint.contains("lm_head.weight") && !checkpoint.contains("absent"))
      #expect(safetensorsError { _ = try checkpoint.tensor("absent") }?.kind == .missingTensor)
      let error = safetensorsError {
        _ = try checkpoint.tensor("lm_head.weight", shape: [1, 2], elementTypes: [.float32])
      }
      #expect(error?.message == "has shape [32, 16], expected [1, 2]" && error?.tensor == "lm_head.weight")
    }
  }
}

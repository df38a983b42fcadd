import Foundation
import FoveaCore
import FoveaSafetensors
import FoveaTestSupport
import Testing

@Suite struct SafetensorsWriterTests {
  private let one = ["one": Tensor([Float(1)], shape: [1])]

  @Test("tensors of every type are written byte for byte as the reference writes them")
  func asReference() throws {
    let path = try fixture("all-types.safetensors")
    let file = try SafetensorsFile.open(path)
    let tensors = try Dictionary(uniqueKeysWithValues: file.names.map { ($0, try file.tensor($0)) })
    try withTemporaryFolder { folder in
      let copy = folder + "/copy.safetensors"
      try SafetensorsWriter.write(tensors, metadata: file.metadata, to: copy)
      #expect(try bytes(ofFile: copy) == bytes(ofFile: path))
    }
  }

  @Test("views of any strides are written as what they show")
  func strides() throws {
    let base = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    let views = [
      "transposed": base.transposed([2, 0, 1]), "sliced": base.sliced(axis: 1, 1..<3),
      "broadcast": try #require(Tensor([Float(5)], shape: [1]).broadcast(to: [3, 2])),
      "empty": base.sliced(axis: 0, 1..<1), "offset": base.sliced(axis: 0, 1..<2),
    ]
    try withTemporaryFolder { folder in
      try SafetensorsWriter.write(views, metadata: ["a": "1", "b": "2"], to: folder + "/views")
      let file = try SafetensorsFile.open(folder + "/views")
      #expect(file.metadata == ["a": "1", "b": "2"])
      for (name, view) in views {
        let read = try file.tensor(name, shape: view.shape, elementTypes: [.float32])
        #expect(read.floats() == view.floats(), "\(name)")
      }
    }
  }

  @Test("an existing file is kept unless overwriting is asked for, and its maps stay valid")
  func overwriting() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a.safetensors"
      try SafetensorsWriter.write(one, to: path)
      let old = try SafetensorsFile.open(path).tensor("one")
      let error = safetensorsError { try SafetensorsWriter.write([:], to: path) }
      #expect(error?.kind == .fileExists && error?.category == .usage)
      try SafetensorsWriter.write(["two": Tensor([Float(2)], shape: [1])], to: path, overwriting: true)
      #expect(try SafetensorsFile.open(path).names == ["two"])
      #expect(old.floats() == [1])
      #expect(try names(inFolder: folder) == ["a.safetensors"])
    }
  }

  @Test("after an error nothing is left in the folder")
  func nothingLeft() throws {
    try withTemporaryFolder { folder in
      let reserved = safetensorsError {
        try SafetensorsWriter.write(["__metadata__": Tensor([Float(1)], shape: [1])], to: folder + "/a")
      }
      #expect(reserved?.kind == .invalidName)
      #expect(safetensorsError { try SafetensorsWriter.write(one, to: folder + "/absent/a") }?.kind == .unwritableFile)
      #expect(safetensorsError { try SafetensorsWriter.write(one, to: folder + "/a\0b") }?.kind == .unwritableFile)
      #expect(
        safetensorsError { try SafetensorsWriter.write(one, to: folder, overwriting: true) }?.kind == .unwritableFile)
      let left = try names(inFolder: folder)
      #expect(left == [])
    }
  }

  @Test("a disk that is full leaves neither a file nor a part of one")
  func fullDisk() async {
    // A limit on file sizes makes a write fail half-way, as a full disk does; in a process of its own, for it holds for
    // the whole of one.
    await #expect(processExitsWith: .success) {
      var limit = rlimit(rlim_cur: 1 << 16, rlim_max: 1 << 16)
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      signal(SIGXFSZ, SIG_IGN)
      try withTemporaryFolder { folder in
        let large = ["large": Tensor(zeros: [1 << 20], elementType: .float32)]
        let error = #expect(throws: SafetensorsError.self) {
          try SafetensorsWriter.write(large, to: folder + "/large")
        }
        #expect(error?.kind == .unwritableFile)
        let left = try names(inFolder: folder)
        #expect(left == [])
      }
    }
  }
}

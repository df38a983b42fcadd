import FoveaEmbeddings
import FoveaTestSupport
import Testing

@Suite struct NumPyFileTests {
  @Test("a matrix that was written is read; its values begin at a multiple of 64 bytes")
  func roundTrip() throws {
    for (rows, columns) in [(0, 3), (2, 3), (100_000, 1)] {
      let header = NumPyFile.header(rowCount: rows, columnCount: columns)
      #expect(header.count % 64 == 0)
      let values = (0..<rows * columns).map { Float($0) * 0.5 }
      try withTemporaryFolder { folder in
        try writeFile(header + NumPyFile.bytes(of: values), to: folder + "/a.npy")
        let read = try NumPyFile.read(folder + "/a.npy")
        #expect(read.values == values)
        #expect(read.rowCount == rows && read.columnCount == columns)
      }
    }
  }

  @Test("files that are no matrix of float32 are refused")
  func refused() throws {
    let good = NumPyFile.header(rowCount: 1, columnCount: 2) + NumPyFile.bytes(of: [1, 2])
    func file(_ text: String) -> [UInt8] {
      Array(good[..<8]) + [UInt8(text.utf8.count), 0] + Array(text.utf8) + NumPyFile.bytes(of: [1, 2])
    }
    let rest = "'fortran_order': False, 'shape': "
    let bad: [[UInt8]] = [
      [], Array(good.prefix(9)), Array(good.dropLast()), good + [0], Array(good.prefix(60)),
      file("{'descr': '<f8', \(rest)(1, 1), }"), file("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }"),
      file("{'descr': '<f4', \(rest)(2,), }"), file("{'descr': '<f4', \(rest)(-1, -2), }"),
      file("{'descr': '<f4', \(rest)(4611686018427387904, 4), }"), file("{'descr': '<f4', \(rest)(1, 2, 1), }"),
      Array(good[..<6]) + [9] + Array(good[7...]),
    ]
    for (index, bytes) in bad.enumerated() {
      try withTemporaryFolder { folder in
        try writeFile(bytes, to: folder + "/a.npy")
        let error = #expect(throws: EmbeddingError.self, "case \(index)") { try NumPyFile.read(folder + "/a.npy") }
        #expect(error?.kind == .malformedFile)
      }
    }
  }

  @Test("a state is read as it was written; a damaged one is refused")
  func state() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/state"
      #expect(try EmbeddingJobState.read(path) == nil)
      var state = EmbeddingJobState(setup: ["model": "a\"b", "é": "\n"], textCount: 10)
      state.doneCount = 4
      state.outputByteCount = 99
      try state.write(to: path)
      #expect(try EmbeddingJobState.read(path) == state)
      var text = try bytes(ofFile: path)
      let place = try #require(text.lastIndex(of: UInt8(ascii: "4")))
      text[place] = UInt8(ascii: "5")
      try writeFile(text, to: path)
      #expect(throws: EmbeddingError.self) { try EmbeddingJobState.read(path) }
      #expect(throws: EmbeddingError.self) { try state.check(["model": "other"], textCount: 10, path: path) }
      #expect(throws: EmbeddingError.self) { try state.check(state.setup, textCount: 11, path: path) }
    }
  }
}

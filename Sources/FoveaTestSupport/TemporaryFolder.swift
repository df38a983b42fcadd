internal import Foundation

/// Calls `body` with the path of a new empty folder, and removes the folder with all it holds afterwards.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  let result = Swift.Result { try body(folder.path) }
  try FileManager.default.removeItem(at: folder)
  return try result.get()
}

/// Writes `bytes` to `path`, replacing what is there.
public func writeFile(_ bytes: [UInt8], to path: String) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// Writes `text` as UTF-8 to `path`, replacing what is there.
public func writeFile(_ text: String, to path: String) throws {
  try writeFile(Array(text.utf8), to: path)
}

/// The bytes of the file at `path`.
public func bytes(ofFile path: String) throws -> [UInt8] {
  try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
}

/// The names of what `folder` holds, sorted.
public func names(inFolder folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

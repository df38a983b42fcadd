internal import FoveaCore
internal import FoveaSafetensors

/// What tells one checkpoint from another: a checksum of its config.json and of every byte of its weights.
///
/// A saved state or cache carries it, so that it is refused by any other model.
///
/// - Returns: 16 hexadecimal digits.
/// - Throws: ``SafetensorsError`` or ``ModelError`` if a file is missing or cannot be read.
public func modelFingerprint(folder: String) throws -> String {
  var checksum = Checksum()
  let checkpoint = try Checkpoint.open(folder: folder)
  for path in ["\(folder)/\(ModelConfiguration.fileName)"] + checkpoint.files.map(\.path) {
    let storage: TensorStorage
    do throws(FileReadingError) {
      storage = try ReadableFile(path).map()
    } catch {
      throw ModelError(.missingFile, file: path, error.reason)
    }
    // The map holds `byteCount` bytes and lives as long as `storage`.
    checksum.add(UnsafeRawBufferPointer(start: storage.baseAddress, count: storage.byteCount))
    withExtendedLifetime(storage) {}
  }
  return checksum.text
}

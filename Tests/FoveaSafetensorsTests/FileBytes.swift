import Foundation
import FoveaCore
import FoveaSafetensors
import FoveaTestSupport
import Testing

/// The bytes of a safetensors file of this header and data, whatever they are.
func fileBytes(_ header: String, data: [UInt8] = []) -> [UInt8] {
  fileBytes(Array(header.utf8), data: data)
}

func fileBytes(_ header: [UInt8], data: [UInt8] = []) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + data
}

/// The error that opening these bytes gives, or nil if they open.
func openingError(_ bytes: [UInt8]) -> SafetensorsError? {
  do throws(SafetensorsError) {
    _ = try SafetensorsFile(bytes: bytes, name: "test.safetensors")
    return nil
  } catch {
    return error
  }
}

/// The error that `body` throws; records a failure if it throws none.
func safetensorsError(_ body: () throws -> Void) -> SafetensorsError? {
  #expect(throws: SafetensorsError.self, performing: body)
}

/// The path of one of this target's fixtures.
func fixture(_ name: String) throws -> String {
  try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: nil)).path
}

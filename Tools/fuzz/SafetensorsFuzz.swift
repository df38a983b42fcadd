// Fuzzes the safetensors reader: whatever the bytes, opening must succeed or throw, and every tensor of a file that
// opens must lie inside of it.
import FoveaCore

/// Called by libFuzzer with each input: a whole file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ start: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  // libFuzzer gives `byteCount` readable bytes.
  let bytes = Array(UnsafeBufferPointer(start: start, count: byteCount))
  do throws(SafetensorsError) {
    let file = try SafetensorsFile(bytes: bytes, name: "fuzz.safetensors")
    var sum = 0
    for name in file.names {
      let tensor = try file.tensor(name)
      sum += tensor.byteCount
      // Reading every element shows the address sanitizer a view that leaves the file.
      if tensor.elementCount <= 1 << 16 { _ = tensor.doubles() }
    }
    precondition(sum == file.byteCount, "tensors of \(sum) bytes in a file of \(file.byteCount)")
  } catch {
    precondition(!error.description.contains("\n"), "an error of several lines")
  }
  return 0
}

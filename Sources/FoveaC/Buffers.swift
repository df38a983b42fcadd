internal import CFovea

/// A caller's buffer for a result of variable length, and where its length goes; see "Results" in fovea.h.
struct ResultBuffer<Element: BitwiseCopyable> {
  let base: UnsafeMutablePointer<Element>?
  let capacity: Int
  let count: UnsafeMutablePointer<Int>?
  /// What the result is called in errors.
  let name: String

  init(
    _ base: UnsafeMutablePointer<Element>?, capacity: Int, count: UnsafeMutablePointer<Int>?, name: String
  ) throws(CallFault) {
    // A size_t beyond half of what it can be comes as a negative number.
    guard capacity >= 0 else { throw .invalid("the capacity for \(name) is \(UInt(bitPattern: capacity))") }
    guard base != nil || capacity == 0 else { throw .invalid("the buffer for \(name) is null") }
    guard base != nil || count != nil else {
      throw .invalid("the buffer for \(name) and the pointer for their number are both null")
    }
    self.base = base
    self.capacity = capacity
    self.count = count
    self.name = name
  }

  /// Reports the length. True where the caller wants the result too, and has room for it.
  func admits(_ resultCount: Int, room: Int = 0) throws(CallFault) -> Bool {
    count?.pointee = resultCount
    guard base != nil else { return false }
    guard resultCount + room <= capacity else {
      throw CallFault(
        FOVEA_BUFFER_TOO_SMALL, "the buffer for \(name) holds \(capacity), expected at least \(resultCount + room)")
    }
    return true
  }

  /// Copies a result to the caller; false if only its length was asked for.
  @discardableResult
  func write(_ elements: [Element]) throws(CallFault) -> Bool {
    guard try admits(elements.count), let base else { return false }
    // In bounds: admitted.
    elements.withUnsafeBufferPointer { source in
      if let first = source.baseAddress { base.update(from: first, count: source.count) }
    }
    return true
  }
}

extension ResultBuffer<CChar> {
  /// Copies a text to the caller, with a zero byte behind it; false if only its length was asked for.
  @discardableResult
  func write(_ text: String) throws(CallFault) -> Bool {
    let bytes = text.utf8.map { CChar(bitPattern: $0) }
    guard try admits(bytes.count, room: 1), let base else { return false }
    // In bounds: admitted with room for the zero byte.
    for (index, byte) in bytes.enumerated() { base[index] = byte }
    base[bytes.count] = 0
    return true
  }
}

/// The elements that a caller passes.
func inputs<Element>(
  _ base: UnsafePointer<Element>?, count: Int, limit: Int = 1 << 40, name: String
) throws(CallFault) -> UnsafeBufferPointer<Element> {
  guard count >= 0, count <= limit else {
    throw .invalid("the number of \(name) is \(UInt(bitPattern: count)), expected at most \(limit)")
  }
  guard base != nil || count == 0 else { throw .invalid("\(name) is null") }
  return UnsafeBufferPointer(start: base, count: count)
}

/// The token ids that a caller passes.
func tokens(_ base: UnsafePointer<Int32>?, count: Int, limit: Int = 1 << 40) throws(CallFault) -> [Int] {
  try inputs(base, count: count, limit: limit, name: "tokens").map { Int($0) }
}

/// A caller's text that ends with a zero byte.
func text(_ base: UnsafePointer<CChar>?, name: String) throws(CallFault) -> String {
  guard let base else { throw .invalid("\(name) is null") }
  return String(cString: base)
}

/// The bytes of a caller's text, which may be null if it is empty; -1 is `FOVEA_ZERO_TERMINATED`.
func textBytes(_ base: UnsafePointer<CChar>?, byteCount: Int, name: String) throws(CallFault) -> [UInt8] {
  var count = byteCount
  if byteCount == -1 {
    guard let base else { throw .invalid("\(name) is null") }
    count = 0
    while base[count] != 0 { count += 1 }
  }
  return try inputs(base, count: count, name: name).map { UInt8(bitPattern: $0) }
}

/// Checks `struct_size`, the first field of a caller's struct, before the rest is touched: a caller of another version has
/// a struct of another size.
func checkSize<Struct>(_ pointer: UnsafePointer<Struct>, name: String) throws(CallFault) {
  let size = UnsafeRawPointer(pointer).load(as: Int.self)
  guard size == MemoryLayout<Struct>.size else {
    throw .invalid("struct_size of \(name) is \(size), expected \(MemoryLayout<Struct>.size)")
  }
}

/// Sets a caller's struct to `value`, which has everything but the size.
func fill<Struct>(_ pointer: UnsafeMutablePointer<Struct>?, name: String, _ change: (inout Struct) -> Void)
  throws(CallFault)
{
  guard let pointer else { throw .invalid("\(name) is null") }
  try checkSize(UnsafePointer(pointer), name: name)
  change(&pointer.pointee)
}

/// Writes `text` to a field of fixed length, cut between characters to what fits with a zero byte.
func setText<Field>(_ field: inout Field, _ text: String) {
  withUnsafeMutableBytes(of: &field) { bytes in
    var kept = text.unicodeScalars[...]
    while String(kept).utf8.count >= bytes.count { kept.removeLast() }
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for (index, byte) in String(kept).utf8.enumerated() { bytes[index] = byte }
  }
}

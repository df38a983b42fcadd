/// Writes the fields of one protobuf message. See `ProtobufReader` for the format.
package struct ProtobufWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func write(_ value: Int, field: Int) {
    writeKey(field: field, wireType: 0)
    writeVarint(UInt64(bitPattern: Int64(value)))
  }

  package mutating func write(_ value: Bool, field: Int) {
    write(value ? 1 : 0, field: field)
  }

  package mutating func write(_ value: Float, field: Int) {
    writeKey(field: field, wireType: 5)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func write(_ value: some Collection<UInt8>, field: Int) {
    writeKey(field: field, wireType: 2)
    writeVarint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  private mutating func writeKey(field: Int, wireType: UInt64) {
    writeVarint(UInt64(field) << 3 | wireType)
  }

  private mutating func writeVarint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: value))
  }
}

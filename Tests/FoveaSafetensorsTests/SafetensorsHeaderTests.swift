import FoveaCore
import FoveaSafetensors
import Testing

/// One broken rule of the format each.
@Suite struct SafetensorsHeaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let header: String
    var dataByteCount = 0
    let kind: SafetensorsError.Kind
    /// What the message must hold.
    let message: String

    var testDescription: String { name }
  }

  private static func entry(
    _ name: String = "a", _ type: String = "U8", _ shape: String = "[2]", _ offsets: String = "[0,2]"
  ) -> String {
    #""\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
  }

  static let cases: [Case] = [
    Case(name: "an empty header", header: "", kind: .malformedHeader, message: "must start with '{'"),
    Case(name: "a leading space", header: " {}", kind: .malformedHeader, message: "must start with '{'"),
    Case(name: "an array", header: "[]", kind: .malformedHeader, message: "must start with '{'"),
    Case(name: "no closing brace", header: "{", kind: .malformedHeader, message: "the end of the text"),
    Case(name: "garbage after the end", header: "{}x", kind: .malformedHeader, message: "only spaces"),
    Case(name: "a tab after the end", header: "{}\t", kind: .malformedHeader, message: "only spaces"),
    Case(name: "a NUL after the end", header: "{}\0", kind: .malformedHeader, message: "only spaces"),
    Case(
      name: "a trailing comma", header: "{\(entry()),}", dataByteCount: 2, kind: .malformedHeader,
      message: "a string"),
    Case(
      name: "a name twice", header: "{\(entry()),\(entry())}", dataByteCount: 2, kind: .malformedHeader,
      message: "'a' appears twice"),
    Case(
      name: "a name twice, once escaped", header: "{\(entry()),\(entry("\\u0061"))}", dataByteCount: 2,
      kind: .malformedHeader, message: "'a' appears twice"),
    Case(
      name: "metadata twice", header: #"{"__metadata__":{},"__metadata__":{}}"#, kind: .malformedHeader,
      message: "appears twice"),
    Case(
      name: "a metadata key twice", header: #"{"__metadata__":{"k":"1","k":"2"}}"#, kind: .malformedHeader,
      message: "'k' appears twice"),
    Case(
      name: "a number in the metadata", header: #"{"__metadata__":{"k":1}}"#, kind: .malformedHeader,
      message: "expected a string"),
    Case(
      name: "metadata that is no object", header: #"{"__metadata__":null}"#, kind: .malformedHeader,
      message: "expected an object"),
    Case(
      name: "dtype twice", header: #"{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}"#,
      dataByteCount: 1, kind: .malformedHeader, message: "'dtype' of tensor 'a' appears twice"),
    Case(
      name: "no dtype", header: #"{"a":{"shape":[],"data_offsets":[0,1]}}"#, dataByteCount: 1,
      kind: .malformedHeader, message: "has no 'dtype'"),
    Case(
      name: "no shape", header: #"{"a":{"dtype":"U8","data_offsets":[0,1]}}"#, dataByteCount: 1,
      kind: .malformedHeader, message: "has no 'shape'"),
    Case(
      name: "no offsets", header: #"{"a":{"dtype":"U8","shape":[]}}"#, kind: .malformedHeader,
      message: "has no 'data_offsets'"),
    Case(
      name: "one offset", header: "{\(entry("a", "U8", "[2]", "[0]"))}", dataByteCount: 2, kind: .malformedHeader,
      message: "1 data_offsets instead of 2"),
    Case(
      name: "three offsets", header: "{\(entry("a", "U8", "[2]", "[0,1,2]"))}", dataByteCount: 2,
      kind: .malformedHeader, message: "3 data_offsets instead of 2"),
    Case(
      name: "a tensor that is no object", header: #"{"a":[]}"#, kind: .malformedHeader,
      message: "expected an object"),
    Case(
      name: "a negative dimension", header: "{\(entry("a", "U8", "[-2]"))}", dataByteCount: 2,
      kind: .malformedHeader, message: "non-negative integer"),
    Case(
      name: "a fractional dimension", header: "{\(entry("a", "U8", "[2.0]"))}", dataByteCount: 2,
      kind: .malformedHeader, message: "fraction"),
    Case(
      name: "an exponent", header: "{\(entry("a", "U8", "[2e0]"))}", dataByteCount: 2, kind: .malformedHeader,
      message: "exponent"),
    Case(
      name: "a leading zero", header: "{\(entry("a", "U8", "[02]"))}", dataByteCount: 2, kind: .malformedHeader,
      message: "leading zero"),
    Case(
      name: "a dimension beyond 63 bits", header: "{\(entry("a", "U8", "[9223372036854775808]"))}",
      dataByteCount: 2, kind: .malformedHeader, message: "larger than"),
    Case(
      name: "a dimension far beyond 64 bits", header: "{\(entry("a", "U8", "[99999999999999999999999]"))}",
      dataByteCount: 2, kind: .malformedHeader, message: "larger than"),
    Case(
      name: "a lone surrogate", header: #"{"\ud800":1}"#, kind: .malformedHeader, message: "lone surrogate"),
    Case(name: "an unknown escape", header: #"{"\x":1}"#, kind: .malformedHeader, message: "unknown escape"),
    Case(name: "a bare newline in a string", header: "{\"a\n\":1}", kind: .malformedHeader, message: "escaped"),
    Case(
      name: "deep nesting",
      header: #"{"a":{"x":\#(String(repeating: "[", count: 100_000))"#, kind: .malformedHeader,
      message: "nested"),
    Case(
      name: "an unknown type", header: "{\(entry("a", "F8_E4M3"))}", dataByteCount: 2,
      kind: .unsupportedElementType, message: "'F8_E4M3'"),
    Case(
      name: "a type in lower case", header: "{\(entry("a", "u8"))}", dataByteCount: 2,
      kind: .unsupportedElementType, message: "'u8'"),
    Case(
      name: "offsets shorter than the shape", header: "{\(entry("a", "U16"))}", dataByteCount: 2,
      kind: .invalidLayout, message: "4 bytes"),
    Case(
      name: "offsets that run backwards", header: "{\(entry("a", "U8", "[2]", "[2,0]"))}", dataByteCount: 2,
      kind: .invalidLayout, message: "backwards"),
    Case(
      name: "a product that overflows", header: "{\(entry("a", "U8", "[4294967296,4294967296]", "[0,0]"))}",
      kind: .invalidLayout, message: "too large"),
    Case(
      name: "a product that would overflow but for a zero",
      header: "{\(entry("a", "U8", "[0,4611686018427387904,4]", "[0,0]"))}", kind: .invalidLayout,
      message: "too large"),
    Case(
      name: "a byte count that overflows", header: "{\(entry("a", "F64", "[2305843009213693952]", "[0,0]"))}",
      kind: .invalidLayout, message: "too large"),
    Case(
      name: "a hole at the start", header: "{\(entry("a", "U8", "[2]", "[1,3]"))}", dataByteCount: 3,
      kind: .invalidLayout, message: "hole"),
    Case(
      name: "a hole between", header: "{\(entry()),\(entry("b", "U8", "[2]", "[3,5]"))}", dataByteCount: 5,
      kind: .invalidLayout, message: "hole"),
    Case(
      name: "an overlap", header: "{\(entry()),\(entry("b", "U8", "[2]", "[1,3]"))}", dataByteCount: 3,
      kind: .invalidLayout, message: "overlaps"),
    Case(
      name: "the same bytes twice", header: "{\(entry()),\(entry("b"))}", dataByteCount: 2, kind: .invalidLayout,
      message: "overlaps"),
    Case(
      name: "an empty tensor beyond the end",
      header: "{\(entry()),\(entry("b", "U8", "[0]", "[3,3]"))}", dataByteCount: 2, kind: .invalidLayout,
      message: "hole"),
    Case(
      name: "trailing bytes", header: "{\(entry())}", dataByteCount: 3, kind: .invalidLayout,
      message: "1 bytes after"),
    Case(
      name: "data cut short", header: "{\(entry())}", dataByteCount: 1, kind: .invalidLayout, message: "cut short"),
  ]

  @Test("each rule of the format, broken once, is named", arguments: cases)
  func brokenRule(_ broken: Case) {
    let error = openingError(fileBytes(broken.header, data: [UInt8](repeating: 0, count: broken.dataByteCount)))
    #expect(error?.kind == broken.kind)
    #expect(error?.description.contains(broken.message) == true, "\(error?.description ?? "no error")")
    #expect(error?.description.hasPrefix("test.safetensors: ") == true)
    #expect(error?.category == .badData)
  }

  @Test("a header that is not UTF-8 is refused where it breaks")
  func invalidUTF8() {
    let error = openingError(fileBytes(Array("{\"a".utf8) + [0xC3, 0x28] + Array("\":1}".utf8)))
    #expect(error?.kind == .malformedHeader && error?.byteOffset == 10)
  }

  @Test(
    "a length field beyond the file or the limit is refused before anything is read",
    arguments: [
      (UInt64.max, "more than the limit"), (UInt64(Int64.max) + 1, "more than the limit"),
      (100_000_001, "more than the limit"), (100_000_000, "has only 2"), (3, "has only 2"),
    ])
  func hugeLength(length: UInt64, message: String) {
    let error = openingError((0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + [0x7B, 0x7D])
    #expect(error?.kind == .malformedHeader && error?.byteOffset == 0)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "no error")")
  }

  @Test("errors give the byte in the file")
  func byteOffset() {
    // The second "a" stands 8 bytes for the length and 54 of header into the file.
    let header = "{\(Self.entry()),\(Self.entry())}"
    let expected = 8 + 1 + Self.entry().utf8.count + 1
    #expect(openingError(fileBytes(header, data: [0, 0]))?.byteOffset == expected)
  }

  @Test(
    "what the format allows is read",
    arguments: [
      "{}", "{}     ", "{ \n\t\r }  ", #"{"__metadata__":{}}"#,
      #"{"a":{"data_offsets":[0,0],"shape":[0,1000000],"dtype":"F64","future":{"x":[1,null,{"y":-0.5E+3}]}}}"#,
      #"{"\u0061\ud83c\udf89\/\b\f\n\r\t\"\\":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
    ])
  func allowed(header: String) {
    #expect(openingError(fileBytes(header)) == nil)
  }

  @Test("a hostile name cannot break an error's line")
  func oneLine() {
    let header = #"{"a\nb\u001b[2J":{"dtype":"X","shape":[],"data_offsets":[0,1]}}"#
    let text = openingError(fileBytes(header, data: [0]))?.description ?? ""
    #expect(text.contains("a\\u{a}b\\u{1b}[2J") && !text.contains("\n") && !text.contains("\u{1b}"))
  }
}

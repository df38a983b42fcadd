import CFovea
import Foundation
import Testing

/// The root folder of the package.
let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

/// The folder of the bundled model.
let bundledModel = root.appendingPathComponent("Models/storyteller-15m").path

/// The statuses as they are returned.
enum Status {
  static let ok = fovea_status(FOVEA_OK)
  static let invalidArgument = fovea_status(FOVEA_INVALID_ARGUMENT)
  static let invalidHandle = fovea_status(FOVEA_INVALID_HANDLE)
  static let bufferTooSmall = fovea_status(FOVEA_BUFFER_TOO_SMALL)
  static let notFound = fovea_status(FOVEA_NOT_FOUND)
  static let badData = fovea_status(FOVEA_BAD_DATA)
  static let busy = fovea_status(FOVEA_BUSY)
}

/// What was wrong with this thread's last call that failed.
var lastError: String { String(cString: fovea_last_error()) }

/// A call that was to succeed and did not.
struct CallFailure: Error {
  let status: fovea_status
  let text: String
}

/// Throws the library's text unless the call succeeded.
func check(_ status: fovea_status) throws {
  guard status == Status.ok else { throw CallFailure(status: status, text: lastError) }
}

/// A struct whose size is set.
func sized<Struct>(_ value: Struct, _ size: WritableKeyPath<Struct, Int>, _ change: (inout Struct) -> Void = { _ in })
  -> Struct
{
  var value = value
  value[keyPath: size] = MemoryLayout<Struct>.size
  change(&value)
  return value
}

/// Calls `body` with a new handle, and frees it.
func withHandle<Result>(
  _ make: (UnsafeMutablePointer<OpaquePointer?>) -> fovea_status, free: (OpaquePointer?) -> fovea_status,
  _ body: (OpaquePointer) throws -> Result
) throws -> Result {
  var handle: OpaquePointer?
  try check(make(&handle))
  let result = Swift.Result { try body(try #require(handle)) }
  try check(free(handle))
  return try result.get()
}

func withModel<Result>(
  _ folder: String = bundledModel, threads: Int32 = 2, precision: Int = FOVEA_PRECISION_NATIVE,
  _ body: (OpaquePointer) throws -> Result
) throws -> Result {
  var options = sized(fovea_load_options(), \.struct_size) {
    $0.thread_count = threads
    $0.precision = fovea_precision(precision)
  }
  return try withHandle({ fovea_model_load(folder, &options, $0) }, free: fovea_model_free, body)
}

func withSession<Result>(_ model: OpaquePointer, _ body: (OpaquePointer) throws -> Result) throws -> Result {
  try withHandle({ fovea_session_create(model, $0) }, free: fovea_session_free, body)
}

func withTokenizer<Result>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
  try withHandle({ fovea_tokenizer_load(bundledModel, $0) }, free: fovea_tokenizer_free, body)
}

/// A result of variable length, asked for its length first.
func elements<Element: BitwiseCopyable>(
  of type: Element.Type = Element.self, room: Int = 0, zero: Element,
  _ call: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>?) -> fovea_status
) throws -> [Element] {
  var count = 0
  try check(call(nil, 0, &count))
  var buffer = [Element](repeating: zero, count: count + room)
  let capacity = buffer.count
  try check(buffer.withUnsafeMutableBufferPointer { call($0.baseAddress, capacity, &count) })
  return Array(buffer.prefix(count))
}

/// A result that is text.
func text(
  _ call: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?) -> fovea_status
) throws -> String {
  String(decoding: try elements(room: 1, zero: CChar(0), call).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func encode(_ tokenizer: OpaquePointer, _ text: String, flags: Int = 0) throws -> [Int32] {
  try elements(zero: Int32(0)) {
    fovea_tokenizer_encode(tokenizer, text, text.utf8.count, Int32(flags), $0, $1, $2)
  }
}

func evaluate(_ session: OpaquePointer, _ tokens: [Int32], _ selection: Int, rows: Int) throws -> [Float] {
  var logits = [Float](repeating: .nan, count: rows * 8192)
  let capacity = logits.count
  var count = 0
  try check(
    logits.withUnsafeMutableBufferPointer {
      fovea_session_evaluate(
        session, tokens, tokens.count, fovea_logits(selection), $0.baseAddress, capacity, &count)
    })
  #expect(count == capacity)
  return logits
}

// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaAttention
internal import FoveaCore
internal import Synchronization

/// See fovea.h.
@c @implementation
public func fovea_attention(
  _ queries: UnsafePointer<DLTensor>?, _ keys: UnsafePointer<DLTensor>?, _ values: UnsafePointer<DLTensor>?,
  _ scale: Float, _ options: UnsafePointer<fovea_attention_options>?, _ output: UnsafeMutablePointer<DLTensor>?,
  _ logSumExp: UnsafeMutablePointer<DLTensor>?
) -> fovea_status {
  runCall {
    let settings = try AttentionSettings(options)
    try scaledDotProductAttention(
      queries: try Tensor(queries, name: "queries"), keys: try Tensor(keys, name: "keys"),
      values: try Tensor(values, name: "values"), scale: scale, mask: settings.mask, sinks: settings.sinks,
      options: settings.options, into: try Tensor(output, name: "output"),
      logSumExp: try logSumExp.map { try Tensor($0, name: "log_sum_exp") }, on: try settings.stream())
  }
}

/// The checked options of a call.
private struct AttentionSettings {
  var mask = AttentionMask.none
  var sinks: Tensor?
  var options = AttentionOptions()
  var threadCount: Int?

  init(_ pointer: UnsafePointer<fovea_attention_options>?) throws(CallFault) {
    guard let pointer else { return }
    try checkSize(pointer, name: "the attention options")
    let given = pointer.pointee
    switch Int(given.mask_kind) {
    case Int(FOVEA_MASK_NONE): break
    case Int(FOVEA_MASK_CAUSAL): mask = .causal
    case Int(FOVEA_MASK_ARRAY): mask = .array(try Tensor(given.mask, name: "mask"))
    default: throw .invalid("mask_kind is \(given.mask_kind), expected 0 (none), 1 (causal) or 2 (array)")
    }
    if given.sinks != nil { sinks = try Tensor(given.sinks, name: "sinks") }
    guard given.window >= 0 else { throw .invalid("window is \(given.window), expected 0 or more") }
    options.window = given.window == 0 ? nil : Int(given.window)
    options.softCap = given.soft_cap == 0 ? nil : given.soft_cap
    if let lengths = given.packed_lengths {
      guard given.packed_length_count <= 1 << 40 else {
        throw .invalid("packed_length_count is \(given.packed_length_count)")
      }
      options.packedLengths = (0..<Int(given.packed_length_count)).map { Int(lengths[$0]) }
    }
    guard given.thread_count >= 0, given.thread_count <= 1024 else {
      throw .invalid("thread_count is \(given.thread_count), expected 0 to 1024")
    }
    threadCount = given.thread_count == 0 ? nil : Int(given.thread_count)
  }

  /// The stream with the threads asked for. A few are kept, so that a call does not start threads anew.
  func stream() throws -> ComputeStream {
    guard let threadCount else { return try .shared }
    return try Self.streams.withLock { streams in
      if let stream = streams[threadCount] { return stream }
      if streams.count >= 8 { streams.removeAll() }
      let stream = try ComputeStream(name: "fovea-c", threadCount: threadCount)
      streams[threadCount] = stream
      return stream
    }
  }

  private static let streams = Mutex<[Int: ComputeStream]>([:])
}

// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaCore
internal import FoveaModels

/// Where the logits of an evaluation go: rows of float32, any strides apart.
private struct LogitTarget {
  let base: UnsafeMutablePointer<Float>
  let rowStride: Int
  let elementStride: Int

  /// Copies `logits`, contiguous `[rows.count, vocabularySize]`.
  func write(_ logits: Tensor, rows: Range<Int>) {
    let source = logits.baseAddress.assumingMemoryBound(to: Float.self)
    let width = logits.shape[1]
    withExtendedLifetime(logits) {
      for row in rows {
        let target = base + row * rowStride
        let values = source + (row - rows.lowerBound) * width
        if elementStride == 1 {
          target.update(from: values, count: width)
        } else {
          for index in 0..<width { target[index * elementStride] = values[index] }
        }
      }
    }
  }
}

/// What an evaluation was asked for.
private struct EvaluationRequest {
  let tokens: [Int]
  let rowCount: Int

  /// The number of tokens is checked before they are read.
  init(_ base: UnsafePointer<Int32>?, count: Int, selection: fovea_logits, room: Int) throws(CallFault) {
    guard count <= room else {
      throw .invalid("\(UInt(bitPattern: count)) tokens were given, but the context has room for \(room) more")
    }
    tokens = try FoveaC.tokens(base, count: count)
    switch Int(selection) {
    case Int(FOVEA_LOGITS_NONE): rowCount = 0
    case Int(FOVEA_LOGITS_LAST): rowCount = min(1, count)
    case Int(FOVEA_LOGITS_ALL): rowCount = count
    default: throw .invalid("selection is \(selection), expected 0 (none), 1 (last) or 2 (all)")
    }
  }
}

extension SessionText {
  fileprivate func request(
    _ tokens: UnsafePointer<Int32>?, _ count: Int, _ selection: fovea_logits
  ) throws(CallFault) -> EvaluationRequest {
    try EvaluationRequest(
      tokens, count: count, selection: selection, room: model.configuration.contextLength - cache.length)
  }

  /// Logits go to the caller block by block, so that those of a long text are not held twice.
  fileprivate func evaluate(_ request: EvaluationRequest, to target: LogitTarget?) throws {
    let firstRow = request.tokens.count - request.rowCount
    try model.evaluate(request.tokens, cache: cache, logitsFrom: firstRow) { rows, logits in
      target?.write(logits, rows: rows.lowerBound - firstRow..<rows.upperBound - firstRow)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_evaluate(
  _ session: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ tokenCount: Int, _ selection: fovea_logits,
  _ logits: UnsafeMutablePointer<Float>?, _ capacity: Int, _ logitCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    try session.use { text in
      let request = try text.request(tokens, tokenCount, selection)
      let vocabularySize = text.model.configuration.vocabularySize
      let count = request.rowCount * vocabularySize
      logitCount?.pointee = count
      guard count > 0 else { return try text.evaluate(request, to: nil) }
      guard let logits else { throw CallFault.invalid("the buffer for logits is null") }
      guard capacity >= count else {
        throw CallFault(FOVEA_BUFFER_TOO_SMALL, "the buffer for logits holds \(capacity), expected at least \(count)")
      }
      try text.evaluate(request, to: LogitTarget(base: logits, rowStride: vocabularySize, elementStride: 1))
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_evaluate_tensor(
  _ session: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ tokenCount: Int, _ selection: fovea_logits,
  _ logits: UnsafeMutablePointer<DLTensor>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    try session.use { text in
      let request = try text.request(tokens, tokenCount, selection)
      guard Int(selection) != FOVEA_LOGITS_NONE else { return try text.evaluate(request, to: nil) }
      let tensor = try Tensor(logits, name: "logits")
      let vocabularySize = text.model.configuration.vocabularySize
      let isRow = request.rowCount == 1 && tensor.shape == [vocabularySize]
      guard tensor.elementType == .float32, isRow || tensor.shape == [request.rowCount, vocabularySize] else {
        throw CallFault.invalid(
          "logits is \(tensor.elementType) of shape \(tensor.shape), expected float32 of shape "
            + "\([request.rowCount, vocabularySize])")
      }
      let target = LogitTarget(
        base: tensor.baseAddress.assumingMemoryBound(to: Float.self), rowStride: isRow ? 0 : tensor.strides[0],
        elementStride: tensor.strides[isRow ? 0 : 1])
      // The tensor only describes the caller's memory, but it has to live as long as its address is used.
      try withExtendedLifetime(tensor) { try text.evaluate(request, to: target) }
    }
  }
}

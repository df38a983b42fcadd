// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaCore
internal import FoveaGeneration
internal import FoveaModels

/// One text that a model has read, with its cache.
///
/// `@unchecked Sendable`: the text is used inside ``use(_:)`` only.
final class SessionObject: HandleObject, @unchecked Sendable {
  static let kind = HandleKind.session
  /// Kept with all it owns: the caller may free the model first.
  let model: ModelObject
  private let turn = Turn()
  private let text: SessionText

  init(_ model: ModelObject) {
    self.model = model
    text = SessionText(model.model)
  }

  /// Runs `body` alone on the text.
  func use<Result>(_ body: (SessionText) throws -> Result) throws -> Result {
    try turn.take(Self.kind) { try body(text) }
  }
}

/// The text of a session as generation reads it.
final class SessionText: TokenEvaluation {
  let model: DecoderModel
  private(set) var cache: KeyValueCache

  init(_ model: DecoderModel) {
    self.model = model
    cache = model.makeCache()
  }

  var tokens: [Int] { cache.tokens }

  var policy: CachePolicy { cache.policy }

  var lengthLimit: Int? { cache.lengthLimit }

  func sharedLength(with text: [Int]) -> Int { cache.sharedLength(with: text) }

  @discardableResult func trim(to length: Int) -> Int { cache.trim(to: length) }

  func reset() { cache = model.makeCache() }

  func save(to path: String) throws { try model.saveCache(cache, to: path) }

  func load(from path: String) throws { cache = try model.loadCache(from: path) }

  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor {
    try model.evaluate(tokens, cache: cache, logits: wantsLogits ? .last : .none)
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_create(
  _ model: OpaquePointer?, _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    let model: ModelObject = try HandleTable.object(model)
    try HandleTable.insert(to: session) { SessionObject(model) }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_free(_ session: OpaquePointer?) -> fovea_status {
  runCall { try HandleTable.remove(session, as: SessionObject.self) }
}

/// See fovea.h.
@c @implementation
public func fovea_session_length(
  _ session: OpaquePointer?, _ tokenCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    guard let tokenCount else { throw CallFault.invalid("the pointer for the length is null") }
    tokenCount.pointee = try session.use { $0.cache.length }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_tokens(
  _ session: OpaquePointer?, _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int,
  _ tokenCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    let result = try ResultBuffer(tokens, capacity: capacity, count: tokenCount, name: "tokens")
    try result.write(try session.use { $0.tokens.map { Int32($0) } })
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_trim(_ session: OpaquePointer?, _ length: Int) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    try session.use { text in
      guard length >= 0, length <= text.cache.length else {
        throw CallFault.invalid(
          "length is \(UInt(bitPattern: length)), but the session holds \(text.cache.length) tokens")
      }
      text.trim(to: length)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_save(_ session: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    let path = try text(path, name: "path")
    try session.use { try $0.save(to: path) }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_restore(_ session: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    let path = try text(path, name: "path")
    try session.use { try $0.load(from: path) }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_session_reset(_ session: OpaquePointer?) -> fovea_status {
  runCall {
    let session: SessionObject = try HandleTable.object(session)
    try session.use { $0.reset() }
  }
}

// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaTokenizers

/// A loaded tokenizer.
final class TokenizerObject: HandleObject {
  static let kind = HandleKind.tokenizer
  let tokenizer: any Tokenizer

  init(_ tokenizer: any Tokenizer) { self.tokenizer = tokenizer }
}

/// Checks that flags are a sum of `known`.
private func check(flags: Int32, known: Int) throws(CallFault) {
  guard Int(flags) & ~known == 0 else { throw .invalid("flags are \(flags), expected a sum out of \(known)") }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_load(
  _ folder: UnsafePointer<CChar>?, _ tokenizer: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    try HandleTable.insert(to: tokenizer) {
      TokenizerObject(try loadTokenizer(folder: try text(folder, name: "folder")))
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_free(_ tokenizer: OpaquePointer?) -> fovea_status {
  runCall { try HandleTable.remove(tokenizer, as: TokenizerObject.self) }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_get_properties(
  _ tokenizer: OpaquePointer?, _ properties: UnsafeMutablePointer<fovea_tokenizer_properties>?
) -> fovea_status {
  runCall {
    let tokenizer = try HandleTable.object(tokenizer, as: TokenizerObject.self).tokenizer
    try fill(properties, name: "the tokenizer properties") { properties in
      properties.vocabulary_size = Int64(tokenizer.vocabularySize)
      properties.beginning_of_text_token = Int32(tokenizer.beginningOfTextToken ?? -1)
      properties.end_of_text_token = Int32(tokenizer.endOfTextToken ?? -1)
      properties.unknown_token = Int32(tokenizer.unknownToken ?? -1)
      properties.padding_token = Int32(tokenizer.paddingToken ?? -1)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_encode(
  _ tokenizer: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ byteCount: Int, _ flags: Int32,
  _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int, _ tokenCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let tokenizer = try HandleTable.object(tokenizer, as: TokenizerObject.self).tokenizer
    let result = try ResultBuffer(tokens, capacity: capacity, count: tokenCount, name: "tokens")
    try check(flags: flags, known: Int(FOVEA_ENCODE_BARE | FOVEA_ENCODE_PLAIN))
    let encoded = try tokenizer.encode(
      bytes: try textBytes(text, byteCount: byteCount, name: "text"),
      addSpecialTokens: Int(flags) & FOVEA_ENCODE_BARE == 0, parseSpecialTokens: Int(flags) & FOVEA_ENCODE_PLAIN == 0)
    try result.write(encoded.map { Int32($0) })
  }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_decode(
  _ tokenizer: OpaquePointer?, _ ids: UnsafePointer<Int32>?, _ tokenCount: Int, _ flags: Int32,
  _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ byteCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let tokenizer = try HandleTable.object(tokenizer, as: TokenizerObject.self).tokenizer
    let result = try ResultBuffer(text, capacity: capacity, count: byteCount, name: "the text's bytes")
    try check(flags: flags, known: Int(FOVEA_DECODE_SPECIAL))
    let ids = try tokens(ids, count: tokenCount)
    try result.write(try tokenizer.decode(ids, skipSpecialTokens: Int(flags) & FOVEA_DECODE_SPECIAL == 0))
  }
}

/// See fovea.h.
@c @implementation
public func fovea_tokenizer_piece(
  _ tokenizer: OpaquePointer?, _ token: Int32, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ byteCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let tokenizer = try HandleTable.object(tokenizer, as: TokenizerObject.self).tokenizer
    let result = try ResultBuffer(text, capacity: capacity, count: byteCount, name: "the piece's bytes")
    guard let piece = tokenizer.piece(of: Int(token)) else {
      throw CallFault.invalid("token \(token) is not in the vocabulary of \(tokenizer.vocabularySize)")
    }
    try result.write(piece)
  }
}

/// One text that is decoded token by token.
///
/// `@unchecked Sendable`: the state is used inside ``Turn/take(_:_:)`` only.
final class DetokenizerObject: HandleObject, @unchecked Sendable {
  static let kind = HandleKind.detokenizer
  private let turn = Turn()
  private var state: any StreamingDetokenizer

  init(_ state: any StreamingDetokenizer) { self.state = state }

  /// Takes a step, which counts only if its text reaches the caller.
  func advance(
    writing result: ResultBuffer<CChar>, _ step: (inout any StreamingDetokenizer) throws -> String
  ) throws {
    try turn.take(Self.kind) {
      var next = state
      if try result.write(try step(&next)) { state = next }
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_detokenizer_create(
  _ tokenizer: OpaquePointer?, _ flags: Int32, _ detokenizer: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    let tokenizer = try HandleTable.object(tokenizer, as: TokenizerObject.self).tokenizer
    try check(flags: flags, known: Int(FOVEA_DECODE_SPECIAL))
    try HandleTable.insert(to: detokenizer) {
      DetokenizerObject(tokenizer.makeStreamingDetokenizer(skipSpecialTokens: Int(flags) & FOVEA_DECODE_SPECIAL == 0))
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_detokenizer_free(_ detokenizer: OpaquePointer?) -> fovea_status {
  runCall { try HandleTable.remove(detokenizer, as: DetokenizerObject.self) }
}

/// See fovea.h.
@c @implementation
public func fovea_detokenizer_append(
  _ detokenizer: OpaquePointer?, _ token: Int32, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ byteCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let object: DetokenizerObject = try HandleTable.object(detokenizer)
    let result = try ResultBuffer(text, capacity: capacity, count: byteCount, name: "the text's bytes")
    try object.advance(writing: result) { try $0.append(Int(token)) }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_detokenizer_finish(
  _ detokenizer: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ byteCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let object: DetokenizerObject = try HandleTable.object(detokenizer)
    let result = try ResultBuffer(text, capacity: capacity, count: byteCount, name: "the text's bytes")
    try object.advance(writing: result) { $0.finish() }
  }
}

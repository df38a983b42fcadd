// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaCore
internal import FoveaEmbeddings
internal import FoveaModels

/// A loaded embedder.
final class EmbedderObject: HandleObject {
  static let kind = HandleKind.embedder
  let embedder: TextEmbedder

  init(folder: String, settings: LoadSettings) throws {
    embedder = try TextEmbedder(folder: folder, precision: settings.precision, stream: try settings.makeStream())
  }
}

/// The checked options of a call.
private struct EmbeddingSettings {
  var prompt = EmbeddingPrompt.modelDefault
  var options = EmbeddingOptions()

  init(_ pointer: UnsafePointer<fovea_embedding_options>?) throws(CallFault) {
    guard let pointer else { return }
    try checkSize(pointer, name: "the embedding options")
    let given = pointer.pointee
    switch Int(given.prompt_kind) {
    case Int(FOVEA_PROMPT_DEFAULT): break
    case Int(FOVEA_PROMPT_NONE): prompt = .none
    case Int(FOVEA_PROMPT_NAME): prompt = .named(try text(given.prompt, name: "prompt"))
    case Int(FOVEA_PROMPT_TEXT): prompt = .text(try text(given.prompt, name: "prompt"))
    default:
      throw .invalid("prompt_kind is \(given.prompt_kind), expected 0 (default), 1 (none), 2 (name) or 3 (text)")
    }
    switch Int(given.normalization) {
    case Int(FOVEA_NORMALIZE_DEFAULT): break
    case Int(FOVEA_NORMALIZE_YES): options.normalizes = true
    case Int(FOVEA_NORMALIZE_NO): options.normalizes = false
    default: throw .invalid("normalization is \(given.normalization), expected 0 (default), 1 (yes) or 2 (no)")
    }
    // Values out of range are the embedder's to refuse.
    if given.dimensions != 0 { options.dimensions = Int(given.dimensions) }
    if given.batch_token_count != 0 { options.batchTokenCount = Int(given.batch_token_count) }
    options.refusesTruncation = given.refuse_truncation != 0
  }
}

/// See fovea.h.
@c @implementation
public func fovea_embedder_load(
  _ folder: UnsafePointer<CChar>?, _ options: UnsafePointer<fovea_load_options>?,
  _ embedder: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    try HandleTable.insert(to: embedder) {
      try EmbedderObject(folder: try text(folder, name: "folder"), settings: try LoadSettings(options))
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_embedder_free(_ embedder: OpaquePointer?) -> fovea_status {
  runCall { try HandleTable.remove(embedder, as: EmbedderObject.self) }
}

/// See fovea.h.
@c @implementation
public func fovea_embedder_get_properties(
  _ embedder: OpaquePointer?, _ properties: UnsafeMutablePointer<fovea_embedder_properties>?
) -> fovea_status {
  runCall {
    let embedder = try HandleTable.object(embedder, as: EmbedderObject.self).embedder
    let dimensions = try embedder.vectorLength(EmbeddingOptions())
    try fill(properties, name: "the embedder properties") { properties in
      properties.dimensions = Int64(dimensions)
      properties.sequence_length_limit = Int64(embedder.sequenceLengthLimit)
      properties.vocabulary_size = Int64(embedder.model.vocabularySize)
      properties.thread_count = Int32(embedder.stream.threadCount)
      setText(&properties.similarity, embedder.similarity.rawValue)
      setText(&properties.default_prompt, embedder.defaultPromptName ?? "")
      setText(&properties.instruction_set, embedder.stream.instructionSet.name)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_embedder_embed(
  _ embedder: OpaquePointer?, _ texts: UnsafePointer<UnsafePointer<CChar>?>?, _ byteCounts: UnsafePointer<Int>?,
  _ textCount: Int, _ options: UnsafePointer<fovea_embedding_options>?, _ vectors: UnsafeMutablePointer<Float>?,
  _ capacity: Int, _ valueCount: UnsafeMutablePointer<Int>?, _ truncatedTokenCounts: UnsafeMutablePointer<Int32>?
) -> fovea_status {
  runCall {
    let embedder = try HandleTable.object(embedder, as: EmbedderObject.self).embedder
    let settings = try EmbeddingSettings(options)
    let result = try ResultBuffer(vectors, capacity: capacity, count: valueCount, name: "values")
    let pointers = try inputs(texts, count: textCount, limit: 1 << 32, name: "texts")
    let dimensions = try embedder.vectorLength(settings.options)
    // Before the work: a buffer that is too short costs nothing.
    guard try result.admits(textCount * dimensions), let base = result.base else { return }
    let texts = try pointers.enumerated().map { index, pointer in
      let bytes = try textBytes(pointer, byteCount: byteCounts?[index] ?? -1, name: "texts[\(index)]")
      return String(decoding: bytes, as: UTF8.self)
    }
    let embeddings = try embedder.embedNow(texts, prompt: settings.prompt, options: settings.options)
    for (index, embedding) in embeddings.enumerated() {
      // In bounds: admitted; every vector has `dimensions` values.
      embedding.values.withUnsafeBufferPointer { values in
        if let first = values.baseAddress { (base + index * dimensions).update(from: first, count: values.count) }
      }
      truncatedTokenCounts?[index] = Int32(clamping: embedding.truncatedTokenCount)
    }
  }
}

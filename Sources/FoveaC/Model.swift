// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFovea
internal import FoveaCore
internal import FoveaGeneration
internal import FoveaModels
internal import FoveaTokenizers

/// A loaded model with what its folder says besides.
final class ModelObject: HandleObject {
  static let kind = HandleKind.model

  let folder: String
  let model: DecoderModel
  let tokenizer: (any Tokenizer)?
  let defaults: GenerationOptions
  let chatTemplate: Result<ChatTemplate.Source, TemplateError>

  init(folder: String, settings: LoadSettings) throws {
    self.folder = folder
    model = try DecoderModel.load(
      folder: folder, precision: settings.precision, stream: try settings.makeStream())
    tokenizer = try TextGenerator.tokenizerIfPresent(folder: folder)
    try tokenizer?.checkVocabulary(fitsModelOf: model.configuration.vocabularySize, folder: folder)
    defaults = try GenerationOptions.defaults(folder: folder)
    chatTemplate = Result { () throws(TemplateError) in try ChatTemplate.load(folder: folder) }
  }
}

/// The checked options of loading.
struct LoadSettings {
  var precision = Precision.native
  var threadCount: Int?

  init(_ pointer: UnsafePointer<fovea_load_options>?) throws(CallFault) {
    guard let pointer else { return }
    try checkSize(pointer, name: "the load options")
    let given = pointer.pointee
    switch Int(given.precision) {
    case Int(FOVEA_PRECISION_NATIVE): precision = .native
    case Int(FOVEA_PRECISION_FLOAT32): precision = .float32
    case Int(FOVEA_PRECISION_BFLOAT16): precision = .bfloat16
    case Int(FOVEA_PRECISION_INT16): precision = .int16
    default:
      throw .invalid("precision is \(given.precision), expected 0 (native), 1 (float32), 2 (bfloat16) or 3 (int16)")
    }
    guard (0...1024).contains(given.thread_count) else {
      throw .invalid("thread_count is \(given.thread_count), expected 0 to 1024")
    }
    threadCount = given.thread_count == 0 ? nil : Int(given.thread_count)
  }

  func makeStream() throws -> ComputeStream { try ComputeStream(name: "fovea-c", threadCount: threadCount) }
}

/// See fovea.h.
@c @implementation
public func fovea_model_load(
  _ folder: UnsafePointer<CChar>?, _ options: UnsafePointer<fovea_load_options>?,
  _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    try HandleTable.insert(to: model) {
      try ModelObject(folder: try text(folder, name: "folder"), settings: try LoadSettings(options))
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_model_free(_ model: OpaquePointer?) -> fovea_status {
  runCall { try HandleTable.remove(model, as: ModelObject.self) }
}

/// See fovea.h.
@c @implementation
public func fovea_model_get_properties(
  _ model: OpaquePointer?, _ properties: UnsafeMutablePointer<fovea_model_properties>?
) -> fovea_status {
  runCall {
    let object: ModelObject = try HandleTable.object(model)
    try fill(properties, name: "the model properties") { properties in
      let (model, configuration) = (object.model, object.model.configuration)
      properties.vocabulary_size = Int64(configuration.vocabularySize)
      properties.context_length = Int64(configuration.contextLength)
      properties.layer_count = Int64(configuration.layerCount)
      properties.hidden_size = Int64(configuration.hiddenSize)
      properties.head_count = Int64(configuration.headCount)
      properties.key_value_head_count = Int64(configuration.keyValueHeadCount)
      properties.head_dimension = Int64(configuration.headDimension)
      properties.parameter_count = Int64(model.parameterCount)
      properties.weight_byte_count = Int64(model.weightByteCount)
      properties.cache_byte_count_per_token = Int64(model.cacheByteCountPerPosition)
      properties.beginning_of_text_token = Int32(clamping: configuration.beginningOfTextToken ?? -1)
      properties.thread_count = Int32(model.stream.threadCount)
      properties.has_tokenizer = object.tokenizer == nil ? 0 : 1
      properties.has_chat_template = if case .success = object.chatTemplate { 1 } else { 0 }
      setText(&properties.model_type, configuration.modelType)
      setText(&properties.weight_type, model.storedTypeName)
      setText(&properties.instruction_set, model.stream.instructionSet.name)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_model_end_of_text_tokens(
  _ model: OpaquePointer?, _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int,
  _ tokenCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let object: ModelObject = try HandleTable.object(model)
    let result = try ResultBuffer(tokens, capacity: capacity, count: tokenCount, name: "tokens")
    try result.write(object.model.configuration.endOfTextTokens.map { Int32(clamping: $0) })
  }
}

/// See fovea.h.
@c @implementation
public func fovea_model_tokenizer(
  _ model: OpaquePointer?, _ tokenizer: UnsafeMutablePointer<OpaquePointer?>?
) -> fovea_status {
  runCall {
    let object: ModelObject = try HandleTable.object(model)
    try HandleTable.insert(to: tokenizer) {
      guard let tokenizer = object.tokenizer else {
        throw CallFault(FOVEA_NOT_FOUND, "\(printable(object.folder, limit: 4096)): has no tokenizer")
      }
      return TokenizerObject(tokenizer)
    }
  }
}

/// See fovea.h.
@c @implementation
public func fovea_model_chat_prompt(
  _ model: OpaquePointer?, _ messages: UnsafePointer<CChar>?, _ tools: UnsafePointer<CChar>?,
  _ addGenerationPrompt: Int32, _ result: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ byteCount: UnsafeMutablePointer<Int>?
) -> fovea_status {
  runCall {
    let object: ModelObject = try HandleTable.object(model)
    let result = try ResultBuffer(result, capacity: capacity, count: byteCount, name: "the prompt's bytes")
    let messages = try list(try text(messages, name: "messages"), name: "messages")
    let tools = try tools.map { try list(String(cString: $0), name: "tools") }
    // Some models have another template for tools.
    let source =
      try tools == nil ? object.chatTemplate.get() : ChatTemplate.load(folder: object.folder, withTools: true)
    var variables = source.variables
    variables["messages"] = messages
    variables["tools"] = tools ?? TemplateValue.none
    variables["documents"] = TemplateValue.none
    variables["add_generation_prompt"] = .bool(addGenerationPrompt != 0)
    try result.write(try source.template.render(variables: variables))
  }
}

/// A list of JSON objects.
private func list(_ json: String, name: String) throws(CallFault) -> TemplateValue {
  let value: TemplateValue
  do throws(JSONError) {
    value = try TemplateValue(parsing: Array(json.utf8))
  } catch {
    throw CallFault(FOVEA_BAD_DATA, "\(name): \(error.message) (at byte \(error.byteOffset))")
  }
  guard case .list(let elements) = value,
    elements.allSatisfy({ if case .dictionary = $0 { true } else { false } })
  else { throw CallFault(FOVEA_BAD_DATA, "\(name): expected a JSON list of objects") }
  return value
}

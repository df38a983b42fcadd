internal import FoveaCore

extension ChatTemplate {
  /// What a folder says of chats.
  public struct Source: Sendable {
    /// The template.
    public let template: ChatTemplate
    /// The inputs beside the conversation: the spellings of special tokens, as `bos_token`.
    public let variables: [String: TemplateValue]

    /// Joins a template with its inputs.
    public init(template: ChatTemplate, variables: [String: TemplateValue] = [:]) {
      self.template = template
      self.variables = variables
    }
  }

  /// Finds a folder's template: `chat_template.jinja`, else `chat_template` of tokenizer_config.json, of whose named
  /// templates `tool_use` is taken for tools where it is there, else `default`.
  ///
  /// - Throws: ``TemplateError`` of kind `missingTemplate` that says where it was looked for.
  public static func load(folder: String, withTools: Bool = false) throws(TemplateError) -> Source {
    let settingsFile = folder + "/tokenizer_config.json"
    var settings = TemplateDictionary()
    if let bytes = try read(settingsFile) {
      do throws(JSONError) {
        if case .dictionary(let dictionary) = try TemplateValue(parsing: bytes) { settings = dictionary }
      } catch {
        throw TemplateError(.unreadableFile, file: settingsFile, "\(error.message) (at byte \(error.byteOffset))")
      }
    }
    var variables: [String: TemplateValue] = [:]
    for case (.string(let name), let value) in settings.members where name.hasSuffix("_token") {
      switch value {
      case .string: variables[name] = value
      case .dictionary(let token):
        if let content = token["content"] { variables[name] = content }
      default: break
      }
    }
    let file = folder + "/chat_template.jinja"
    if let bytes = try read(file) {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw TemplateError(.unreadableFile, file: file, "is not valid UTF-8")
      }
      return Source(template: try ChatTemplate(text, file: file), variables: variables)
    }
    switch settings["chat_template"] {
    case .string(let text)?: return Source(template: try ChatTemplate(text, file: settingsFile), variables: variables)
    case .list(let entries)?:
      let named = entries.compactMap { entry -> (String, String)? in
        guard case .dictionary(let members) = entry, case .string(let name)? = members["name"],
          case .string(let text)? = members["template"]
        else { return nil }
        return (name, text)
      }
      let wanted = (withTools ? ["tool_use"] : []) + ["default"]
      for name in wanted {
        if let text = named.first(where: { $0.0 == name })?.1 {
          return Source(template: try ChatTemplate(text, file: settingsFile), variables: variables)
        }
      }
      let names = named.map(\.0).joined(separator: ", ")
      throw TemplateError(
        .missingTemplate, file: settingsFile, "'chat_template' has no template 'default', only \(names)")
    default:
      throw TemplateError(
        .missingTemplate, file: folder,
        "has no chat template: there is no chat_template.jinja and no 'chat_template' in tokenizer_config.json")
    }
  }

  private static func read(_ file: String) throws(TemplateError) -> [UInt8]? {
    do throws(FileReadingError) {
      return try readFile(file, byteCountLimit: 64 << 20)
    } catch {
      if error.isMissing { return nil }
      throw TemplateError(.unreadableFile, file: file, error.reason)
    }
  }
}

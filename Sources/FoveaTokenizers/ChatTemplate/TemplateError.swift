public import FoveaCore

/// Why a chat template cannot be read or rendered.
public struct TemplateError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// The template breaks the language's rules, or uses what is not built.
    case malformedTemplate
    /// The template and its inputs do not fit.
    case failedRendering
    /// The template itself raised an exception, such as one about roles that do not alternate.
    case raisedException
    /// A bound on steps, memory, output or depth was reached.
    case exceededLimit
    /// There is no template where one is needed.
    case missingTemplate
    /// A file that holds a template or a conversation cannot be read.
    case unreadableFile
  }

  /// What kind of fault this is.
  public let kind: Kind
  /// The file at fault, if it is one.
  public let file: String?
  /// The line of the template, from 1.
  public let line: Int?
  /// The culprit and what was expected.
  public let message: String

  /// An error at a line of the template.
  public init(_ kind: Kind, file: String? = nil, line: Int? = nil, _ message: String) {
    self.kind = kind
    self.file = file
    self.line = line
    self.message = message
  }

  /// One line with the file and the place.
  public var description: String {
    let place = (file.map { printable($0, limit: 4096) } ?? "chat template") + (line.map { ":\($0)" } ?? "")
    return "\(place): \(printable(message, limit: 1000))"
  }

  /// Whose fault it is.
  public var category: FaultCategory { kind == .missingTemplate ? .missingInput : .badData }
}

/// What kind of fault an error reports; the command line turns it into its exit code.
public enum FaultCategory: Sendable, Equatable {
  /// The caller asked for something that cannot be done: an option, a shape, a value out of range.
  case usage
  /// A file or request holds data that breaks its format's rules.
  case badData
  /// A named file, folder or tensor is absent or cannot be read.
  case missingInput
  /// A fault of Fovea itself.
  case internalFault
}

/// An error that names the culprit in one line: the file, tensor, option or shapes, and what was expected.
public protocol FoveaError: Error, Sendable, CustomStringConvertible {
  /// What kind of fault this is.
  var category: FaultCategory { get }
}

public import FoveaCore

/// Arguments of the attention op that do not fit together.
public struct AttentionError: FoveaError, Equatable {
  /// Which rule of the op's contract was broken.
  public enum Kind: Sendable, Equatable {
    /// Queries, keys or values are not of rank 4.
    case rank
    /// The batch sizes differ.
    case batch
    /// Queries and keys differ in head dimension.
    case headDimension
    /// Keys and values differ in their number of heads, or the query heads are no multiple of it.
    case headCount
    /// Keys and values differ in length.
    case keyLength
    /// An element type is not a floating-point type.
    case elementType
    /// The mask's rank, shape or type does not fit.
    case mask
    /// The sinks' shape or type does not fit.
    case sinks
    /// Memory given for results has another shape or type.
    case output
    /// Window, soft-cap or packed lengths are out of range.
    case options
  }

  /// Which rule was broken.
  public let kind: Kind
  /// What was given, with the shapes, and what was expected.
  public let message: String

  /// What kind of fault it is.
  public var category: FaultCategory { .usage }
  /// One line that names the culprit.
  public var description: String { "scaledDotProductAttention: " + message }
}

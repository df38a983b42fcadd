internal import CFoveaKernels

/// How a cache holds keys and values in codes: each number is scale · code + bias.
///
/// Keys share scale and bias with their neighbours in position, dimension by dimension, since some dimensions of keys are
/// large at every position; values share them with their neighbours in dimension (KIVI; Liu et al. 2024,
/// arXiv 2402.02750). A query reads the positions of its own block of 256, and the first ones that a bounded cache keeps, in
/// full; what lies before, in codes.
public struct CacheQuantization: Sendable, Hashable, CustomStringConvertible {
  /// The bits of a code: 8 or 4.
  public let bits: Int
  /// How many codes share a scale and a bias: 32 or 64.
  public let groupSize: Int

  /// The sizes of groups that there are.
  public static let groupSizes = [32, 64]
  /// What the size of groups is where nobody says otherwise.
  public static let defaultGroupSize = 32

  /// Checks the numbers.
  ///
  /// - Throws: ``ModelError`` that names the one at fault.
  public init(bits: Int, groupSize: Int = CacheQuantization.defaultGroupSize) throws(ModelError) {
    guard bits == 8 || bits == 4 else {
      throw ModelError(.invalidCacheSize, "a cache of \(bits) bits: expected 8 or 4")
    }
    guard Self.groupSizes.contains(groupSize) else {
      throw ModelError(.invalidCacheSize, "a cache with groups of \(groupSize): expected 32 or 64")
    }
    self.bits = bits
    self.groupSize = groupSize
  }

  /// The bits and the size of groups.
  public var description: String { "\(bits) bits in groups of \(groupSize)" }

  func format(headDimension: Int) -> fovea_code_format {
    fovea_code_format(bits: UInt32(bits), group_size: groupSize, dimension: headDimension)
  }
}

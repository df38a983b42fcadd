internal import FoveaCore

/// How the codes of quantised weights stand for values.
public struct QuantizationScheme: Sendable, Equatable {
  /// What a code means.
  public enum Mode: String, Sendable, CaseIterable {
    /// scale · code + bias, both of the group.
    case affine
    /// The power of two of the group times a 4-bit float (sign, 2 bits of exponent, 1 of fraction); OCP microscaling.
    case mxfp4
  }

  /// What a code means.
  public let mode: Mode
  /// The width of a code: 2, 3, 4, 5, 6 or 8.
  public let bits: Int
  /// How many neighbours along a row share a scale: 32, 64 or 128.
  public let groupSize: Int

  /// The widths of codes that affine weights may have.
  public static let allowedBits = [2, 3, 4, 5, 6, 8]
  /// The group sizes that affine weights may have.
  public static let allowedGroupSizes = [32, 64, 128]

  static let mxfp4 = QuantizationScheme(mode: .mxfp4, bits: 4, groupSize: 32)

  /// - Precondition: `bits` and `groupSize` are allowed for `mode`.
  public init(mode: Mode = .affine, bits: Int, groupSize: Int) {
    precondition(Self.allowedBits.contains(bits) && Self.allowedGroupSizes.contains(groupSize))
    precondition(mode == .affine || (bits == 4 && groupSize == 32))
    self.mode = mode
    self.bits = bits
    self.groupSize = groupSize
  }
}

/// What config.json says of quantised weights, in MLX's layout. A matrix is quantised if it has scales.
public struct QuantizationConfiguration: Sendable, Equatable {
  /// That of matrices that are not named.
  public let scheme: QuantizationScheme
  /// That of matrices by name, without `.weight`.
  public let overrides: [String: QuantizationScheme]

  /// - Parameter overrides: by the name of the matrix, without `.weight`.
  public init(scheme: QuantizationScheme, overrides: [String: QuantizationScheme] = [:]) {
    self.scheme = scheme
    self.overrides = overrides
  }

  /// The scheme of the matrix `name`, if it is quantised.
  public func scheme(of name: String) -> QuantizationScheme { overrides[name] ?? scheme }
}

extension QuantizationConfiguration {
  /// The keys under which MLX keeps the settings; the second is there for the hub's sake.
  private static let keys = ["quantization", "quantization_config"]

  /// Reads the settings of a checkpoint; nil if it is not quantised, or in a layout that says so in its tensors.
  static func read(_ file: ConfigurationReader) throws(ModelError) -> QuantizationConfiguration? {
    for key in keys {
      guard let settings = try file.object(key) else { continue }
      if let method = try settings.string("quant_method") {
        // gpt-oss: the tensors of experts are called blocks and scales, the others are not quantised.
        if method == "mxfp4" { return nil }
        throw settings.unsupported(
          "'\(settings.prefix)quant_method' is '\(printable(method))'; Fovea reads MLX's quantised weights and mxfp4")
      }
      let scheme = try settings.scheme(base: nil)
      var overrides: [String: QuantizationScheme] = [:]
      for name in settings.keysOfObjects {
        guard let settings = try settings.object(name) else { continue }
        overrides[name] = try settings.scheme(base: scheme)
      }
      return QuantizationConfiguration(scheme: scheme, overrides: overrides)
    }
    return nil
  }
}

extension ConfigurationReader {
  /// A scheme; what an override leaves out is that of `base`.
  fileprivate func scheme(base: QuantizationScheme?) throws(ModelError) -> QuantizationScheme {
    var mode = base?.mode ?? .affine
    if let name = try string("mode") {
      guard let named = QuantizationScheme.Mode(rawValue: name) else {
        throw unsupported(
          "'\(prefix)mode' is '\(printable(name))', which Fovea does not read; it reads affine and mxfp4")
      }
      mode = named
    }
    let ownBits = try integer("bits", in: 1...64)
    let ownGroupSize = try integer("group_size", in: 1...(1 << 20))
    // MLX's own defaults.
    let bits = ownBits ?? base?.bits ?? 4
    let groupSize = ownGroupSize ?? base?.groupSize ?? (mode == .mxfp4 ? 32 : 64)
    let isRead =
      mode == .mxfp4
      ? bits == 4 && groupSize == 32
      : QuantizationScheme.allowedBits.contains(bits) && QuantizationScheme.allowedGroupSizes.contains(groupSize)
    guard isRead else {
      throw ModelError(
        .invalidSetting, file: file,
        mode == .mxfp4
          ? "'\(prefix)bits' and 'group_size' must be 4 and 32 for mxfp4, found \(bits) and \(groupSize)"
          : "'\(prefix)bits' must be 2, 3, 4, 5, 6 or 8 and 'group_size' 32, 64 or 128, found \(bits) and \(groupSize)")
    }
    return QuantizationScheme(mode: mode, bits: bits, groupSize: groupSize)
  }
}

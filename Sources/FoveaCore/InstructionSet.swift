package import CFoveaKernels

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A set of SIMD kernels, named after what the CPU must have to run them.
public struct InstructionSet: Sendable, Equatable {
  /// The kernels of this set. The tables are constants of the library, hence safe to share.
  package nonisolated(unsafe) let kernels: UnsafePointer<fovea_kernels>

  /// `scalar`, `avx2`, `avxvnni`, `avx512`, `avx512vnni`, `avx512bf16`, `neon` or `dotprod`.
  public var name: String { String(cString: kernels.pointee.name) }

  /// Every instruction set built into the library that this CPU runs, the fastest first. The last is `scalar`.
  public static let available: [InstructionSet] = builtIn.filter { fovea_kernels_supported($0.kernels) }

  private static let builtIn: [InstructionSet] = {
    var sets: [InstructionSet] = []
    guard var next = fovea_kernels_all() else { return sets }
    while let kernels = next.pointee {
      sets.append(InstructionSet(kernels: kernels))
      next += 1
    }
    return sets
  }()

  /// The instruction set of that name.
  ///
  /// - Throws: ``InstructionSetError`` if the library does not know the name or the CPU cannot run it.
  public static func named(_ name: String) throws(InstructionSetError) -> InstructionSet {
    if let set = available.first(where: { $0.name == name }) { return set }
    throw InstructionSetError(name: name, isBuiltIn: builtIn.contains { $0.name == name })
  }

  /// The best that the CPU has, or the one that the environment variable `FOVEA_ISA` names.
  ///
  /// - Throws: ``InstructionSetError`` if `FOVEA_ISA` names one that cannot run here.
  public static func selected() throws(InstructionSetError) -> InstructionSet {
    if let name = getenv("FOVEA_ISA") { return try named(String(cString: name)) }
    return available[0]
  }
}

extension InstructionSet {
  /// log Σ exp(value), accurate to about 10⁻⁶: −∞ for no values, NaN where one of them is NaN.
  package func logSumExp(_ values: UnsafeBufferPointer<Float>) -> Double {
    kernels.pointee.log_sum_exp(values.baseAddress, values.count)
  }
}

/// `FOVEA_ISA` or the caller named an instruction set that cannot run here.
public struct InstructionSetError: FoveaError, Equatable {
  /// The name asked for.
  public let name: String
  /// Whether the library has kernels of that name, which this CPU cannot run.
  public let isBuiltIn: Bool

  /// What kind of fault it is.
  public var category: FaultCategory { .usage }

  /// One line that names the culprit.
  public var description: String {
    let known = InstructionSet.available.map(\.name).joined(separator: ", ")
    return isBuiltIn
      ? "instruction set '\(name)' cannot run on this CPU; it has \(known)"
      : "unknown instruction set '\(name)'; this CPU has \(known)"
  }
}

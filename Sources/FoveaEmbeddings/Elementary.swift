#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The C library's functions, under names that nothing hides.
func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
func complementaryError(_ x: Double) -> Double { erfc(x) }
func exponential(_ x: Double) -> Double { exp(x) }

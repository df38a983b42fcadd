import Fovea

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Logits with a few high ones, as models give them, and some equal ones.
func spikyLogits(_ count: Int, seed: UInt64) -> [Float] {
  var random = RandomGenerator(seed: seed &+ 1000)
  return (0..<count).map { _ in
    let value = Float(random.nextUnit() * 6 - 3)
    return random.nextUnit() < 0.05 ? (value * 4).rounded() : value
  }
}

/// The sampling steps after the penalties, written down as they are defined: everything sorted and in double.
func referenceDraw(
  _ logits: [Float], _ options: SamplingOptions, _ random: inout RandomGenerator
) -> (token: Int, logProbability: Double) {
  let maximum = Double(logits.max() ?? 0)
  var kept = logits.indices.map { (token: $0, weight: exp((Double(logits[$0]) - maximum) / options.temperature)) }
  let cuts = (options.topK > 0 && options.topK < logits.count) || options.topP < 1 || options.minP > 0
  if cuts { kept.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token } }
  if options.topK > 0 { kept = Array(kept.prefix(options.topK)) }
  if options.topP < 1 {
    let total = kept.reduce(0) { $0 + $1.weight }
    var sum = 0.0
    let last = kept.firstIndex { candidate in
      sum += candidate.weight
      return sum >= options.topP * total
    }
    kept = Array(kept.prefix((last ?? kept.count - 1) + 1))
  }
  kept.removeAll { $0.weight < options.minP }

  let target = random.nextUnit() * kept.reduce(0) { $0 + $1.weight }
  var sum = 0.0
  let drawn = kept.first { candidate in
    sum += candidate.weight
    return sum > target
  }
  let token = drawn?.token ?? kept[kept.count - 1].token
  let logSum = maximum + log(logits.reduce(0) { $0 + exp(Double($1) - maximum) })
  return (token, Double(logits[token]) - logSum)
}

internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Passes over the logits of a whole vocabulary, a block at a time, which the threads of a stream share.
///
/// What a block gives and the order in which blocks are joined depend on neither the threads nor their number.
struct LogitBlocks {
  /// Whose threads take the blocks; nil: only the caller's.
  private let stream: ComputeStream?
  private let instructionSet: InstructionSet

  /// Logits of a block: so many that they take several times as long as handing out a block.
  private static let length = 4096

  init(stream: ComputeStream?) {
    self.stream = stream
    // Who names one that cannot run here has been told by the stream that made the logits.
    instructionSet = stream?.instructionSet ?? (try? .selected()) ?? InstructionSet.available[0]
  }

  // MARK: The likeliest

  /// The highest of some logits, and the lowest id that has it; −∞ and 0 where there is none. A NaN is never higher.
  struct Likeliest {
    fileprivate(set) var token = 0
    fileprivate(set) var logit = -Float.infinity
  }

  /// The likeliest token.
  func likeliest(of logits: UnsafeBufferPointer<Float>) -> Likeliest {
    withBlocks(of: logits, LogitBlocks.likeliest) { LogitBlocks.likeliest(among: $0) }
  }

  /// The likeliest token and log Σ exp(logit), accurate to about 10⁻⁶, NaN where a logit is.
  func summary(of logits: UnsafeBufferPointer<Float>) -> (likeliest: Likeliest, logSum: Double) {
    withBlocks(of: logits) { block, first in
      (likeliest: LogitBlocks.likeliest(of: block, first: first), logSum: instructionSet.logSumExp(block))
    } join: { blocks in
      let likeliest = LogitBlocks.likeliest(among: blocks.lazy.map(\.likeliest))
      // A block with NaN or infinity has it for a sum, and so has the whole.
      let highest = blocks.lazy.map(\.logSum).max() ?? -.infinity
      guard highest.isFinite else { return (likeliest, highest) }
      return (likeliest, highest + log(blocks.reduce(0) { $0 + exp($1.logSum - highest) }))
    }
  }

  private static func likeliest(among blocks: some Sequence<Likeliest>) -> Likeliest {
    // Among equals the first.
    blocks.reduce(Likeliest()) { $1.logit > $0.logit ? $1 : $0 }
  }

  /// The likeliest of a block whose first token is `first`.
  private static func likeliest(of logits: UnsafeBufferPointer<Float>, first: Int) -> Likeliest {
    // The highest value first, lane by lane, then its first place: several times as fast as one loop for both.
    var lanes = SIMD16<Float>(repeating: -.infinity)
    var index = 0
    let bytes = UnsafeRawBufferPointer(logits)
    while index + 16 <= logits.count {
      // In bounds: 16 of the remaining elements.
      let next = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Float>.stride, as: SIMD16<Float>.self)
      lanes.replace(with: next, where: next .> lanes)
      index += 16
    }
    var maximum = lanes.max()
    for index in index..<logits.count where logits[index] > maximum { maximum = logits[index] }
    guard maximum > -.infinity, let token = logits.firstIndex(of: maximum) else { return Likeliest() }
    return Likeliest(token: first + token, logit: maximum)
  }

  // MARK: Weights

  // The lanes and the order of the sums are fixed, so that a seed draws the same tokens from the same logits on every CPU.

  /// Σ exp((logits[i] − maximum) · scale), with weights of relative error below 2⁻²² and the sum in double.
  ///
  /// NaN in gives NaN out. `maximum` must be finite and no less than any logit, `scale` at least 0.
  func weightSum(of logits: UnsafeBufferPointer<Float>, maximum: Float, scale: Float) -> Double {
    withBlocks(of: logits) { block, _ in
      LogitBlocks.weightSum(of: block, maximum: maximum, scale: scale)
    } join: { sums in
      sums.reduce(0, +)
    }
  }

  /// The first token with whose weight the sum of those up to it exceeds `unit`, 0 ..< 1, of the sum of all weights;
  /// under the same conditions.
  func draw(_ unit: Double, from logits: UnsafeBufferPointer<Float>, maximum: Float, scale: Float) -> Int {
    withBlocks(of: logits) { block, _ in
      LogitBlocks.weightSum(of: block, maximum: maximum, scale: scale)
    } join: { sums in
      let target = unit * sums.reduce(0, +)
      let (block, before) = sums.drawn(by: target)
      let range = LogitBlocks.range(block, of: logits.count)
      let weights = logits[range].lazy.map { LogitBlocks.weight($0, maximum: maximum, scale: scale) }
      return range.lowerBound + weights.drawn(by: target - before).index
    }
  }

  private static func weightSum(of logits: UnsafeBufferPointer<Float>, maximum: Float, scale: Float) -> Double {
    var totals = SIMD4<Double>.zero
    var index = 0
    // In bounds: each step reads 4 of the remaining elements.
    while index + 4 <= logits.count {
      let lanes = SIMD4(logits[index], logits[index + 1], logits[index + 2], logits[index + 3])
      totals += SIMD4<Double>(exponential((lanes - maximum) * scale))
      index += 4
    }
    var total = (totals[0] + totals[2]) + (totals[1] + totals[3])
    while index < logits.count {
      total += weight(logits[index], maximum: maximum, scale: scale)
      index += 1
    }
    return total
  }

  private static func weight(_ logit: Float, maximum: Float, scale: Float) -> Double {
    Double(exponential(SIMD4(repeating: (logit - maximum) * scale))[0])
  }

  // MARK: Blocks

  private static func range(_ block: Int, of count: Int) -> Range<Int> {
    block * length..<min(count, (block + 1) * length)
  }

  /// Calls `body` with each block and the index of its first logit, then `join` with what it gave, in order.
  private func withBlocks<Value, Result>(
    of logits: UnsafeBufferPointer<Float>, _ body: (UnsafeBufferPointer<Float>, Int) -> Value,
    join: (UnsafeBufferPointer<Value>) -> Result
  ) -> Result {
    let count = (logits.count + LogitBlocks.length - 1) / LogitBlocks.length
    return withUnsafeTemporaryAllocation(of: Value.self, capacity: count) { values in
      func compute(_ block: Int) {
        let range = LogitBlocks.range(block, of: logits.count)
        values.initializeElement(at: block, to: body(UnsafeBufferPointer(rebasing: logits[range]), range.lowerBound))
      }
      if let stream, count > 1 {
        stream.run { stream.forEachPiece(count) { block, _ in compute(block) } }
      } else {
        for block in 0..<count { compute(block) }
      }
      return join(UnsafeBufferPointer(values))
    }
  }

  /// exp(x) for x ≤ 0: x = n·ln 2 + r with |r| ≤ ln 2 / 2, a polynomial for exp(r) (Cephes' `expf`), then 2ⁿ by the
  /// exponent's bits. Below −87, where the result would be subnormal, it is 0: a token of logit −∞ must have no weight.
  ///
  /// libm's `exp` takes about ten times as long.
  @inline(__always)
  private static func exponential(_ x: SIMD4<Float>) -> SIMD4<Float> {
    let clamped = x.replacing(with: -87, where: x .< -87)
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits of the sum.
    let shifted = clamped * 1.442_695_04 + 12_582_912
    let power = shifted - 12_582_912
    let rest = (clamped - power * 0.693_359_375) - power * -2.121_944_4e-4
    var polynomial = SIMD4<Float>(repeating: 1.987_569_15e-4)
    polynomial = polynomial * rest + 1.398_199_95e-3
    polynomial = polynomial * rest + 8.333_451_9e-3
    polynomial = polynomial * rest + 4.166_579_6e-2
    polynomial = polynomial * rest + 1.666_666_55e-1
    polynomial = polynomial * rest + 0.5
    polynomial = polynomial * rest * rest + rest + 1
    let bits = unsafeBitCast(shifted, to: SIMD4<UInt32>.self)
    let scale = unsafeBitCast((bits &<< 23) &+ 0x3F80_0000, to: SIMD4<Float>.self)
    return (polynomial * scale).replacing(with: 0, where: x .< -87)
  }
}

extension Sequence<Double> {
  /// The first weight with which the sum of those up to it exceeds `target`, counted from 0, and the sum before it; where
  /// rounding leaves all of them at the target, the last that is not 0.
  func drawn(by target: Double) -> (index: Int, before: Double) {
    var sum = 0.0
    var last = (index: 0, before: 0.0)
    for (index, weight) in enumerated() where weight > 0 {
      last = (index, sum)
      sum += weight
      if sum > target { break }
    }
    return last
  }
}

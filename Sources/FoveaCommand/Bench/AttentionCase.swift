import ArgumentParser
import Fovea

/// The sizes of one call of the attention op.
struct AttentionShape: ExpressibleByArgument, CustomStringConvertible, Sendable, Encodable {
  let batchCount: Int
  let headCount: Int
  let keyValueHeadCount: Int
  let queryLength: Int
  let keyLength: Int
  let headDimension: Int

  init(_ batch: Int, _ heads: Int, _ keyValueHeads: Int, _ queries: Int, _ keys: Int, _ dimension: Int) {
    batchCount = batch
    headCount = heads
    keyValueHeadCount = keyValueHeads
    queryLength = queries
    keyLength = keys
    headDimension = dimension
  }

  /// Six positive numbers with commas, the second a multiple of the third.
  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    // The bound keeps every product of sizes within an Int.
    let sizes = parts.compactMap { Int($0) }.filter { 1...(1 << 24) ~= $0 }
    guard parts.count == 6, sizes.count == 6, sizes[1] % sizes[2] == 0 else { return nil }
    self.init(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5])
    let largest = [batchCount, headCount, max(queryLength, keyLength), headDimension].reduce(1.0) { $0 * Double($1) }
    // More than 64 GiB of float32 is a slip of the keyboard.
    guard largest < Double(1 << 34) else { return nil }
  }

  var description: String {
    [batchCount, headCount, keyValueHeadCount, queryLength, keyLength, headDimension].map(String.init)
      .joined(separator: ",")
  }

  var queryShape: [Int] { [batchCount, headCount, queryLength, headDimension] }
  var keyShape: [Int] { [batchCount, keyValueHeadCount, keyLength, headDimension] }
  var usualMask: AttentionMaskKind { queryLength > 1 ? .causal : .none }
}

/// The masks that `fovea bench attention` makes.
enum AttentionMaskKind: String, ExpressibleByArgument, CaseIterable, Sendable, Encodable {
  case none, causal, boolean, additive
}

/// One operation to measure.
struct AttentionCase: Sendable {
  let shape: AttentionShape
  let elementType: ElementType
  let mask: AttentionMaskKind

  /// 4·B·Nq·D for every pair of a query and a key: a multiply-add for the score and one for the output. A causal mask
  /// leaves half of the pairs of its square.
  var operationCount: Double {
    let (queries, keys) = (Double(shape.queryLength), Double(shape.keyLength))
    var pairCount = queries * keys
    if mask == .causal { pairCount = queries <= keys ? pairCount - queries * queries / 2 : keys * keys / 2 }
    return 4 * Double(shape.batchCount * shape.headCount * shape.headDimension) * pairCount
  }

  /// The bytes of keys and values, each counted once.
  var keyValueByteCount: Double {
    2 * shape.keyShape.reduce(1.0) { $0 * Double($1) } * Double(elementType.byteCount)
  }

  /// Prefill from short heads to long texts, array masks, and decoding against short and long caches.
  static let standard: [(AttentionShape, AttentionMaskKind)] = [
    (AttentionShape(2, 32, 32, 1000, 1000, 128), .causal),
    (AttentionShape(1, 32, 8, 2048, 2048, 128), .causal),
    (AttentionShape(1, 4, 1, 2048, 2048, 256), .causal),
    (AttentionShape(1, 8, 8, 8192, 8192, 64), .causal),
    (AttentionShape(1, 32, 8, 2048, 2048, 128), .additive),
    (AttentionShape(1, 32, 8, 2048, 2048, 128), .boolean),
    (AttentionShape(1, 32, 8, 1, 4096, 128), .none),
    (AttentionShape(1, 32, 8, 1, 32768, 128), .none),
    (AttentionShape(1, 9, 3, 1, 4096, 64), .none),
    (AttentionShape(1, 4, 1, 1, 4096, 256), .none),
  ]

  /// How the cost grows: quadratically for as many queries as keys, linearly for one query.
  static let scalingShapes: [AttentionShape] = {
    let lengths = [64, 256, 1024, 4096, 16384]
    return lengths.map { AttentionShape(1, 8, 2, $0, $0, 128) } + lengths.map { AttentionShape(1, 32, 8, 1, $0, 128) }
  }()
}

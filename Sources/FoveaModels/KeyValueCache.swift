public import FoveaCore
internal import FoveaSafetensors

/// The keys and values of a text as far as it is evaluated, with the text itself.
///
/// A contiguous cache keeps every position, but for those behind the windows of windowed layers. Rotating and streaming
/// caches keep a fixed number, whatever the length of the text; see ``CachePolicy``. Each layer has a store of its own.
///
/// One owner at a time: whoever evaluates with a cache must be the only one that uses it.
public final class KeyValueCache {
  /// Which positions are kept.
  public let policy: CachePolicy
  /// The text evaluated so far; of a cache of bounded size its end only, once it is longer than some thousand tokens.
  public fileprivate(set) var tokens: [Int] = []
  /// The most positions that a text may have: the model's context, or no limit for a cache of bounded size.
  public let lengthLimit: Int?
  /// The type of the stored keys and values.
  public let elementType: ElementType
  /// The keys and values of each layer.
  private(set) var stores: [KeyValueStore]
  /// How many positions the stores hold: all, or none where ``trim(to:)`` went back behind what windowed layers keep.
  private(set) var evaluatedLength = 0
  /// Whether keys were turned by the long factors of `longrope`.
  private var usesLongFactors = false
  /// What stood before ``tokens``.
  private var dropped = DroppedTokens()
  /// The number of tokens that are always known, if the text has so many. Covers what the stores hold.
  private let keptTokenCount: Int

  /// `longestSwitch` is the length of text at which `longrope` changes its factors and the whole text is needed again.
  init(policy: CachePolicy, stores: [KeyValueStore], lengthLimit: Int?, longestSwitch: Int, elementType: ElementType) {
    self.policy = policy
    self.stores = stores
    self.lengthLimit = lengthLimit
    self.elementType = elementType
    keptTokenCount = max(8192, longestSwitch + 1, stores.reduce(0) { max($0, $1.capacityLimit) })
  }

  /// The number of tokens evaluated so far.
  public var length: Int { dropped.count + tokens.count }

  /// The memory held, in bytes.
  public var byteCount: Int { stores.reduce(0) { $0 + $1.byteCount } }

  /// How many tokens `text` has in common with the text evaluated so far, from the first on.
  public func sharedLength(with text: some Collection<Int>) -> Int {
    guard dropped.begin(text) else { return 0 }
    return dropped.count + zip(tokens, text.dropFirst(dropped.count)).prefix { $0 == $1 }.count
  }

  /// Forgets every position from `length` on; they are evaluated anew when their tokens come again.
  ///
  /// Where the stores no longer hold what comes before `length`, the next evaluation first repeats the whole text. A cache
  /// of bounded size does not know the whole of a long text: there everything is forgotten.
  ///
  /// - Returns: the new length: `length`, or 0 where everything was forgotten.
  @discardableResult public func trim(to length: Int) -> Int {
    precondition(length >= 0 && length <= self.length, "a cache of \(self.length) positions cannot keep \(length)")
    let canContinue =
      length >= dropped.count
      && (evaluatedLength <= length || stores.allSatisfy { $0.canContinue(from: length) })
    guard length > 0, canContinue || dropped.count == 0 else {
      tokens = []
      dropped = DroppedTokens()
      evaluatedLength = 0
      return 0
    }
    tokens.removeLast(self.length - length)
    if evaluatedLength > length { evaluatedLength = canContinue ? length : 0 }
    return length
  }

  /// Forgets everything.
  public func reset() { trim(to: 0) }

  /// A cache that holds the same in memory of its own: what is evaluated with one does not change the other.
  public func copy() -> KeyValueCache {
    let copy = KeyValueCache(
      policy: policy, stores: stores.map { $0.copied() }, lengthLimit: lengthLimit, longestSwitch: keptTokenCount - 1,
      elementType: elementType)
    copy.tokens = tokens
    copy.dropped = dropped
    copy.evaluatedLength = evaluatedLength
    copy.usesLongFactors = usesLongFactors
    return copy
  }

  /// The part of the text that must be evaluated again before what follows it: none, unless a trim went too far back or
  /// the text grows or shrinks past the length where `longrope` changes its factors.
  func tokensToRepeat(usesLongFactors: Bool) -> [Int] {
    if usesLongFactors != self.usesLongFactors { evaluatedLength = 0 }
    self.usesLongFactors = usesLongFactors
    return Array(tokens[(evaluatedLength - dropped.count)...])
  }

  /// Makes room for `count` more positions without counting them yet.
  func reserve(_ count: Int) {
    // Layer by layer, so that the old and the new memory of one layer only are held together.
    for layer in stores.indices { stores[layer].reserve(end: evaluatedLength + count, length: evaluatedLength) }
  }

  /// Counts positions whose keys and values every layer has written.
  func advance(over chunk: ArraySlice<Int>) {
    evaluatedLength += chunk.count
    tokens += chunk.suffix(max(0, evaluatedLength - length))
    guard policy != .contiguous, tokens.count > 2 * keptTokenCount else { return }
    let surplus = tokens.count - keptTokenCount
    dropped.add(tokens[..<surplus])
    tokens.removeFirst(surplus)
  }
}

// MARK: Saved caches

extension KeyValueCache {
  /// What a saved cache says of itself, but for the model.
  var metadata: [String: String] {
    policy.metadata.merging([
      CacheKey.format: CacheKey.currentFormat, CacheKey.length: String(length),
      CacheKey.evaluatedLength: String(evaluatedLength), CacheKey.droppedChecksum: dropped.checksum.text,
      CacheKey.usesLongFactors: String(usesLongFactors),
    ]) { $1 }
  }

  /// What a saved cache holds, mostly views of what is here.
  func tensors() -> [String: Tensor] {
    let ids = Tensor(uninitialized: [tokens.count], elementType: .int64)
    tokens.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress { ids.baseAddress.copyMemory(from: start, byteCount: bytes.count) }
    }
    var tensors = ["tokens": ids]
    for (layer, store) in stores.enumerated() {
      for (name, tensor) in store.tensors(length: evaluatedLength) { tensors["layers.\(layer).\(name)"] = tensor }
    }
    return tensors
  }

  /// Takes what a saved cache of the same policy holds. This one must be empty.
  ///
  /// - Throws: ``ModelError`` or `SafetensorsError` for what no cache of the model can hold.
  func restore(_ file: SafetensorsFile, vocabularySize: Int) throws {
    func number(_ key: String) throws(ModelError) -> Int {
      // Positions stay exact as float64.
      guard let number = file.metadata[key].flatMap({ Int($0) }), (0...1 << 53).contains(number) else {
        throw ModelError(.invalidCacheFile, "has no '\(key)' that is a length")
      }
      return number
    }
    let (length, evaluatedLength) = (try number(CacheKey.length), try number(CacheKey.evaluatedLength))
    let ids = try file.tensor("tokens")
    guard ids.elementType == .int64, ids.shape.count == 1 else {
      throw ModelError(.invalidCacheFile, "has tokens of \(ids.elementType) \(ids.shape), expected a list of int64")
    }
    // The storage holds as many integers, aligned, and lives as long as the tensor.
    tokens = [Int](
      UnsafeBufferPointer(start: ids.baseAddress.assumingMemoryBound(to: Int.self), count: ids.elementCount))
    withExtendedLifetime(ids) {}
    if let token = tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw ModelError.tokenOutOfRange(token, vocabularySize: vocabularySize)
    }
    let droppedCount = length - tokens.count
    guard droppedCount >= 0, droppedCount == 0 || policy != .contiguous, length <= lengthLimit ?? .max,
      (droppedCount...length).contains(evaluatedLength),
      let checksum = file.metadata[CacheKey.droppedChecksum].flatMap({ UInt64($0, radix: 16) })
    else {
      throw ModelError(
        .invalidCacheFile,
        "has \(tokens.count) tokens and \(evaluatedLength) of \(length) positions, which do not go together")
    }
    dropped = DroppedTokens(count: droppedCount, checksum: Checksum(seed: checksum))
    usesLongFactors = file.metadata[CacheKey.usesLongFactors] == "true"
    for layer in stores.indices {
      try stores[layer].restore(length: evaluatedLength) { name throws(SafetensorsError) in
        try file.tensor("layers.\(layer).\(name)")
      }
    }
    self.evaluatedLength = evaluatedLength
  }
}

/// What is known of tokens that are no longer held.
struct DroppedTokens {
  /// How many there are.
  private(set) var count = 0
  /// Theirs, token by token: independent of which were dropped together.
  private(set) var checksum = Checksum()

  /// Takes the next ones.
  mutating func add(_ tokens: some Sequence<Int>) {
    for token in tokens {
      withUnsafeBytes(of: token) { checksum.add($0) }
      count += 1
    }
  }

  /// Whether `text` begins with them, as far as a checksum tells.
  func begin(_ text: some Collection<Int>) -> Bool {
    guard text.count >= count else { return false }
    var other = DroppedTokens()
    other.add(text.prefix(count))
    return other.checksum == checksum
  }
}

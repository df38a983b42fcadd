public import FoveaCore

/// The keys and values of a text as far as it is evaluated, with the text itself.
///
/// Layers that attend to everything keep every position; windowed layers keep their window, so that their memory does
/// not grow with the text. Each layer has a store of its own.
///
/// One owner at a time: whoever evaluates with a cache must be the only one that uses it.
public final class KeyValueCache {
  /// The text evaluated so far.
  public private(set) var tokens: [Int] = []
  /// The most positions that the model allows.
  public let contextLength: Int
  /// The type of the stored keys and values.
  public let elementType: ElementType
  /// The keys and values of each layer.
  private(set) var stores: [KeyValueStore]
  /// How many positions the stores hold: all, or none where ``trim(to:)`` went back behind what windowed layers keep.
  private(set) var evaluatedLength = 0
  /// Whether keys were turned by the long factors of `longrope`.
  private var usesLongFactors = false

  init(stores: [KeyValueStore], contextLength: Int, elementType: ElementType) {
    self.stores = stores
    self.contextLength = contextLength
    self.elementType = elementType
  }

  /// The number of positions held.
  public var length: Int { tokens.count }

  /// The memory held, in bytes.
  public var byteCount: Int { stores.reduce(0) { $0 + $1.byteCount } }

  /// Forgets every position from `length` on; they are evaluated anew when their tokens come again.
  ///
  /// Where windowed layers no longer hold what comes before `length`, the next evaluation first repeats the whole text.
  public func trim(to length: Int) {
    precondition(length >= 0 && length <= self.length, "a cache of \(self.length) positions cannot keep \(length)")
    tokens.removeLast(self.length - length)
    guard evaluatedLength > length else { return }
    evaluatedLength = stores.allSatisfy { $0.canContinue(from: length) } ? length : 0
  }

  /// The part of the text that must be evaluated again before what follows it: none, unless a trim went too far back or
  /// the text grows or shrinks past the length where `longrope` changes its factors.
  func tokensToRepeat(usesLongFactors: Bool) -> [Int] {
    if usesLongFactors != self.usesLongFactors { evaluatedLength = 0 }
    self.usesLongFactors = usesLongFactors
    return Array(tokens[evaluatedLength...])
  }

  /// Makes room for `count` more positions without counting them yet.
  func reserve(_ count: Int) {
    // Layer by layer, so that the old and the new memory of one layer only are held together.
    for layer in stores.indices { stores[layer].reserve(end: evaluatedLength + count, length: evaluatedLength) }
  }

  /// Counts positions whose keys and values every layer has written.
  func advance(over chunk: ArraySlice<Int>) {
    evaluatedLength += chunk.count
    tokens += chunk.suffix(max(0, evaluatedLength - tokens.count))
  }
}

/// Merges a word's tokens pair by pair, the earliest merge first and the leftmost of equal ones; keeps its memory from
/// word to word.
struct MergeWorkspace {
  /// The tokens of the word, before and after `merge`.
  var tokens: [Int32] = []
  /// For each token what it gives with the next one.
  private var pairs: [UInt64] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []
  /// A binary heap of ranks over positions.
  private var heap: [UInt64] = []

  /// Up to here looking at every pair again is faster than a heap.
  private static let scannedCount = 40

  mutating func merge(_ merges: MergeTable) {
    guard tokens.count > 1 else { return }
    pairs.removeAll(keepingCapacity: true)
    for index in 0..<tokens.count - 1 { pairs.append(merges.value(tokens[index], tokens[index + 1])) }
    if tokens.count <= Self.scannedCount { mergeByScanning(merges) } else { mergeByHeap(merges) }
  }

  private mutating func mergeByScanning(_ merges: MergeTable) {
    while true {
      var best = MergeTable.none
      var position = 0
      for (index, pair) in pairs.enumerated() where pair < best {
        best = pair
        position = index
      }
      guard best != MergeTable.none else { return }
      tokens[position] = Int32(truncatingIfNeeded: best)
      tokens.remove(at: position + 1)
      pairs.remove(at: position)
      if position > 0 { pairs[position - 1] = merges.value(tokens[position - 1], tokens[position]) }
      if position < pairs.count { pairs[position] = merges.value(tokens[position], tokens[position + 1]) }
    }
  }

  private mutating func mergeByHeap(_ merges: MergeTable) {
    let count = tokens.count
    pairs.append(MergeTable.none)
    previous = (0..<count).map { Int32($0) - 1 }
    next = (0..<count).map { $0 + 1 < count ? Int32($0) + 1 : -1 }
    heap.removeAll(keepingCapacity: true)
    for (position, pair) in pairs.enumerated() where pair != MergeTable.none { heap.append(entry(pair, position)) }
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index) }
    while let top = popped() {
      let position = Int(top & 0xFFFF_FFFF)
      let pair = pairs[position]
      // What stood here has merged with a neighbour since.
      guard pair != MergeTable.none, pair >> 32 == top >> 32 else { continue }
      let right = Int(next[position])
      tokens[position] = Int32(truncatingIfNeeded: pair)
      pairs[right] = MergeTable.none
      tokens[right] = -1
      next[position] = next[right]
      if next[position] >= 0 { previous[Int(next[position])] = Int32(position) }
      if previous[position] >= 0 { update(Int(previous[position]), merges) }
      update(position, merges)
    }
    tokens.removeAll { $0 < 0 }
  }

  private mutating func update(_ position: Int, _ merges: MergeTable) {
    let pair =
      next[position] < 0 ? MergeTable.none : merges.value(tokens[position], tokens[Int(next[position])])
    pairs[position] = pair
    guard pair != MergeTable.none else { return }
    heap.append(entry(pair, position))
    var index = heap.count - 1
    while index > 0, heap[index] < heap[(index - 1) / 2] {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private func entry(_ pair: UInt64, _ position: Int) -> UInt64 {
    (pair >> 32) << 32 | UInt64(position)
  }

  private mutating func popped() -> UInt64? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      heap[0] = last
      sink(0)
    }
    return top
  }

  private mutating func sink(_ start: Int) {
    var index = start
    while true {
      var smallest = 2 * index + 1
      guard smallest < heap.count else { return }
      if smallest + 1 < heap.count, heap[smallest + 1] < heap[smallest] { smallest += 1 }
      guard heap[smallest] < heap[index] else { return }
      heap.swapAt(smallest, index)
      index = smallest
    }
  }
}

/// A token that may be chosen, with its logit after penalties.
struct Candidate {
  var token: Int32
  var logit: Float

  /// Whether this is likelier than `other`; the lower id goes first among equals, so that the order is total.
  @inline(__always)
  func isLikelier(than other: Candidate) -> Bool {
    logit != other.logit ? logit > other.logit : token < other.token
  }
}

/// Picks the likeliest tokens without sorting the vocabulary, in memory that is kept from token to token.
struct CandidateSelection {
  /// What the last selection found, likeliest first.
  private(set) var candidates: [Candidate] = []

  /// Keeps the `count` likeliest: a heap of that size with its least likely on top, which most logits do not enter;
  /// O(vocabulary + entries · log count).
  mutating func selectLikeliest(_ count: Int, of logits: UnsafeBufferPointer<Float>) {
    candidates.removeAll(keepingCapacity: true)
    let kept = min(count, logits.count)
    for index in 0..<kept { candidates.append(Candidate(token: Int32(index), logit: logits[index])) }
    heapify { $1.isLikelier(than: $0) }
    guard var threshold = candidates.first?.logit else { return }
    for index in kept..<logits.count where logits[index] > threshold {
      // Equal logits never enter: the ids in the heap are lower.
      candidates[0] = Candidate(token: Int32(index), logit: logits[index])
      siftDown(from: 0, count: kept) { $1.isLikelier(than: $0) }
      threshold = candidates[0].logit
    }
    // The rest of heapsort: the least likely moves behind those still in the heap.
    var remaining = kept
    while remaining > 1 {
      remaining -= 1
      candidates.swapAt(0, remaining)
      siftDown(from: 0, count: remaining) { $1.isLikelier(than: $0) }
    }
  }

  /// Keeps the likeliest until `isEnough` says, with each token as it is taken, that no more are needed.
  ///
  /// A heap of all logits not below `lowest`, its likeliest on top: O(vocabulary + taken · log vocabulary).
  mutating func selectLikeliest(
    of logits: UnsafeBufferPointer<Float>, notBelow lowest: Float, until isEnough: (Candidate) -> Bool
  ) {
    candidates.removeAll(keepingCapacity: true)
    for index in logits.indices where logits[index] >= lowest {
      candidates.append(Candidate(token: Int32(index), logit: logits[index]))
    }
    heapify { $0.isLikelier(than: $1) }
    var remaining = candidates.count
    while remaining > 0 {
      remaining -= 1
      candidates.swapAt(0, remaining)
      siftDown(from: 0, count: remaining) { $0.isLikelier(than: $1) }
      if isEnough(candidates[remaining]) { break }
    }
    candidates.removeFirst(remaining)
    candidates.reverse()
  }

  /// Drops all but the first `count`.
  mutating func keepFirst(_ count: Int) {
    candidates.removeLast(candidates.count - count)
  }

  private mutating func heapify(_ isAbove: (Candidate, Candidate) -> Bool) {
    var root = candidates.count / 2
    while root > 0 {
      root -= 1
      siftDown(from: root, count: candidates.count, isAbove)
    }
  }

  @inline(__always)
  private mutating func siftDown(
    from start: Int, count: Int, _ isAbove: (Candidate, Candidate) -> Bool
  ) {
    candidates.withUnsafeMutableBufferPointer { heap in
      var root = start
      guard root < count else { return }
      let moving = heap[root]
      while true {
        var child = 2 * root + 1
        guard child < count else { break }
        if child + 1 < count, isAbove(heap[child + 1], heap[child]) { child += 1 }
        guard isAbove(heap[child], moving) else { break }
        heap[root] = heap[child]
        root = child
      }
      heap[root] = moving
    }
  }
}

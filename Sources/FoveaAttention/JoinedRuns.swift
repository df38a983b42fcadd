internal import Synchronization

/// How many runs of each tile have been joined to its state, in order, and which later ones wait to be.
///
/// A run is claimed by one thread at a time, which alone may touch the tile's state until it releases the run. Nobody
/// waits: a thread that cannot claim leaves its run to the thread that holds the tile.
struct JoinedRuns {
  private let base: UnsafeMutableRawPointer
  private let runsPerTile: Int
  private let tileByteCount: Int

  /// In `memory`, which is left to its next user without more ado.
  init(at memory: UnsafeMutableRawPointer, tileCount: Int, runsPerTile: Int) {
    base = memory
    self.runsPerTile = runsPerTile
    tileByteCount = Self.byteCount(tileCount: 1, runsPerTile: runsPerTile)
    for tile in 0..<tileCount {
      progress(ofTile: tile).initialize(to: Atomic(0))
      for run in 0..<runsPerTile { isLeft(run, ofTile: tile).initialize(to: Atomic(false)) }
    }
  }

  /// Each tile has cache lines of its own.
  static func byteCount(tileCount: Int, runsPerTile: Int) -> Int {
    let counterByteCount = MemoryLayout<Atomic<Int>>.stride + runsPerTile * MemoryLayout<Atomic<Bool>>.stride
    return tileCount * ((counterByteCount + 63) / 64 * 64)
  }

  /// Twice the number of joined runs, and 1 more while a thread holds the tile.
  private func progress(ofTile tile: Int) -> UnsafeMutablePointer<Atomic<Int>> {
    (base + tile * tileByteCount).assumingMemoryBound(to: Atomic<Int>.self)
  }

  private func isLeft(_ run: Int, ofTile tile: Int) -> UnsafeMutablePointer<Atomic<Bool>> {
    (base + tile * tileByteCount + MemoryLayout<Atomic<Int>>.stride).assumingMemoryBound(to: Atomic<Bool>.self) + run
  }

  /// Takes hold of the tile if all runs before `run` are joined and none after it.
  func claim(_ run: Int, ofTile tile: Int) -> Bool {
    progress(ofTile: tile).pointee.compareExchange(
      expected: 2 * run, desired: 2 * run + 1, ordering: .sequentiallyConsistent
    ).exchanged
  }

  /// Counts the run that the caller holds the tile for as joined, and lets go of the tile; true if it was the last one.
  func release(_ run: Int, ofTile tile: Int) -> Bool {
    progress(ofTile: tile).pointee.store(2 * (run + 1), ordering: .sequentiallyConsistent)
    return run + 1 == runsPerTile
  }

  /// Says that the states of the run's blocks wait to be joined.
  func leave(_ run: Int, ofTile tile: Int) {
    isLeft(run, ofTile: tile).pointee.store(true, ordering: .sequentiallyConsistent)
  }

  /// Takes hold of the tile if nobody does and its next run waits; gives that run.
  ///
  /// Whoever leaves a run and whoever releases the one before it both look here afterwards: the order of all these
  /// accesses is total, so at least one of them sees both.
  func claimLeft(ofTile tile: Int) -> Int? {
    while true {
      let seen = progress(ofTile: tile).pointee.load(ordering: .sequentiallyConsistent)
      let run = seen / 2
      guard seen % 2 == 0, run < runsPerTile, isLeft(run, ofTile: tile).pointee.load(ordering: .sequentiallyConsistent)
      else { return nil }
      if claim(run, ofTile: tile) { return run }
    }
  }
}

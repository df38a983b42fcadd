import Foundation
import FoveaCore
import Synchronization
import Testing

@Suite struct ComputeStreamTests {
  /// Counts shared by tasks.
  final class Tally: Sendable {
    let inside = Atomic<Int>(0)
    let pieces = Atomic<Int>(0)
  }

  @Test("every piece runs once, on any number of threads", arguments: [1, 2, 3, 8])
  func everyPieceOnce(threadCount: Int) throws {
    let stream = try ComputeStream(threadCount: threadCount)
    for count in [0, 1, 2, 5, 1000] {
      let hits = UnsafeMutablePointer<Int>.allocate(capacity: count + 1)
      hits.initialize(repeating: 0, count: count + 1)
      defer { hits.deallocate() }
      for _ in 0..<50 {
        stream.run { stream.forEachPiece(count) { piece, _ in hits[piece] += 1 } }
      }
      #expect((0..<count).allSatisfy { hits[$0] == 50 } && hits[count] == 0)
    }
  }

  @Test("every piece runs once where the numbers of jobs start again, and half way to there", .timeLimit(.minutes(2)))
  func everyPieceOnceAfterBillionsOfJobs() throws {
    for number in [.max - 20, 1 << 31 - 20, 1 << 30 - 20] as [UInt32] {
      // Of two pieces the later ones of eight threads get none for as long as nobody asks for more.
      let stream = try ComputeStream(threadCount: 8, jobNumber: number)
      for round in 0..<60 {
        let pieces = Atomic<Int>(0)
        let count = round % 20 == 19 ? 100 : 2
        stream.run { stream.forEachPiece(count) { _, _ in pieces.add(1, ordering: .relaxed) } }
        #expect(pieces.load(ordering: .relaxed) == count, "round \(round) after job \(number)")
      }
    }
  }

  @Test("late workers take nothing of the job before the one that renews the numbers", .timeLimit(.minutes(2)))
  func lateWorkersAtARenewal() throws {
    for round in 0..<2000 {
      // More threads than processors: many of the workers meet the long job only when it is over.
      let stream = try ComputeStream(threadCount: 8, jobNumber: 1 << 30 - 2)
      let long = Atomic<Int>(0)
      let short = Atomic<Int>(0)
      stream.run {
        stream.forEachPiece(64) { _, _ in long.add(1, ordering: .relaxed) }
        for _ in 0..<10 { stream.forEachPiece(2) { _, _ in short.add(1, ordering: .relaxed) } }
      }
      #expect(long.load(ordering: .relaxed) == 64 && short.load(ordering: .relaxed) == 20, "round \(round)")
    }
  }

  @Test("scratch memory belongs to one thread at a time and is aligned")
  func scratch() throws {
    let stream = try ComputeStream(threadCount: 3)
    let faults = Atomic<Int>(0)
    stream.run {
      stream.forEachPiece(500, scratchByteCount: 4096) { piece, scratch in
        let words = scratch.assumingMemoryBound(to: Int.self)
        for index in 0..<512 { words[index] = piece }
        for index in 0..<512 where words[index] != piece { faults.add(1, ordering: .relaxed) }
        if Int(bitPattern: scratch) % 64 != 0 { faults.add(1, ordering: .relaxed) }
      }
    }
    #expect(faults.load(ordering: .relaxed) == 0)
  }

  @Test("a stream that ends right after a job ends, wherever its workers are", .timeLimit(.minutes(2)))
  func endsRightAfterAJob() throws {
    // More threads than processors: some of them come to the last job late.
    for round in 0..<4000 {
      let stream = try ComputeStream(threadCount: 4)
      let pieces = Atomic<Int>(0)
      for _ in 0..<round % 3 {
        stream.run { stream.forEachPiece(2) { _, _ in pieces.add(1, ordering: .relaxed) } }
      }
      #expect(pieces.load(ordering: .relaxed) == round % 3 * 2)
    }
  }

  @Test("operations of one stream exclude each other, also from many tasks, and may nest")
  func operationsExclude() async throws {
    let stream = try ComputeStream(threadCount: 2)
    let tally = Tally()
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<40 {
        group.addTask {
          let alone = try? await stream.perform {
            let others = tally.inside.add(1, ordering: .sequentiallyConsistent).oldValue
            stream.run { stream.forEachPiece(10) { _, _ in tally.pieces.add(1, ordering: .relaxed) } }
            tally.inside.subtract(1, ordering: .sequentiallyConsistent)
            return others == 0
          }
          return alone ?? false
        }
      }
      for await alone in group { #expect(alone) }
    }
    #expect(tally.pieces.load(ordering: .relaxed) == 400)
  }

  @Test("streams come and go while their threads spin, yield or sleep")
  func lifetime() throws {
    for round in 0..<30 {
      let stream = try ComputeStream(threadCount: 4)
      let sum = Atomic<Int>(0)
      stream.run { stream.forEachRange(1000, grain: 7) { range in sum.add(range.count, ordering: .relaxed) } }
      #expect(sum.load(ordering: .relaxed) == 1000, "round \(round)")
    }
  }

  @Test("workers sleep when there is no work, and come back when there is", arguments: [2, 3, 8])
  func idleWorkersSleep(threadCount: Int) throws {
    let stream = try ComputeStream(threadCount: threadCount)
    for round in 0..<5 {
      let pieces = Atomic<Int>(0)
      stream.run { stream.forEachPiece(100) { _, _ in pieces.add(1, ordering: .relaxed) } }
      #expect(pieces.load(ordering: .relaxed) == 100, "round \(round)")
      // Far beyond the time that they spin; a busy machine may need it.
      for _ in 0..<60_000 where stream.sleepingThreadCount < threadCount - 1 { usleep(1000) }
      #expect(stream.sleepingThreadCount == threadCount - 1, "round \(round)")
    }
  }

  @Test("working memory is counted, grows only, and can be given back")
  func scratchByteCount() throws {
    let stream = try ComputeStream(threadCount: 2)
    stream.run {
      #expect(stream.scratchByteCount == 0)
      stream.forEachPiece(2, scratchByteCount: 1000) { _, _ in }
      stream.forEachPiece(2, scratchByteCount: 10) { _, _ in }
      _ = stream.sharedScratch(byteCount: 500)
      #expect(stream.scratchByteCount == 2500)
      stream.releaseScratch()
      #expect(stream.scratchByteCount == 0)
    }
  }

  @Test("an unknown or impossible instruction set is named")
  func instructionSets() {
    #expect(InstructionSet.available.last?.name == "scalar")
    #expect(throws: InstructionSetError.self) { try InstructionSet.named("sse9") }
    do {
      _ = try InstructionSet.named("sse9")
    } catch {
      #expect(error.description.hasPrefix("unknown instruction set 'sse9'; this CPU has "))
    }
  }
}

internal import CFoveaKernels
internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension DecoderModel {
  /// outputs = Σ weight · block(x) over the experts that the router chooses for each row x of `inputs`.
  ///
  /// Rows are gathered expert by expert, so that each matrix is read once for all its rows. A row's sum runs over its
  /// experts by their number, whatever else is evaluated with it.
  func sumExperts(
    _ blocks: [GatedBlock], of inputs: ActivationRows, scores: ActivationRows, into outputs: ActivationRows
  ) {
    guard let experts = configuration.experts else { return }
    let kernels = stream.kernelTable
    let routing = ExpertRouting(scores: scores, experts: experts)
    func rows(_ buffer: Workspace.Buffer) -> ActivationRows {
      workspace.rows(buffer, count: inputs.count).split(into: experts.expertsPerToken)
    }
    let gathered = rows(.expertInputs)
    let activated = rows(.expertActivated)
    let results = rows(.expertOutputs)
    let hiddenSize = configuration.hiddenSize

    stream.forEachRange(routing.rows.count, grain: 16) { range in
      for visit in range {
        gathered.row(visit).copyMemory(
          from: inputs.row(routing.rows[visit]), byteCount: hiddenSize * inputs.type.byteCount)
      }
    }
    let groups = routing.visits.enumerated().compactMap { expert, visits in
      visits.isEmpty
        ? nil
        : RowGroup(
          block: blocks[expert], activations: gathered.rows(visits), activated: activated.rows(visits),
          outputs: results.rows(visits))
    }
    stream.multiplyGroups(groups, activation: configuration.activation)
    stream.forEachRange(inputs.count, grain: 16) { range in
      for row in range {
        let sum = outputs.floats(row)
        sum.update(repeating: 0, count: hiddenSize)
        for visit in routing.visitsOfRow[row] {
          kernels.pointee.add_scaled(results.floats(visit), routing.weights[visit], sum, hiddenSize)
        }
      }
    }
  }
}

/// Which rows go through which experts. A visit is one row's way through one expert; visits are numbered expert by
/// expert, and by row inside one.
private struct ExpertRouting {
  /// The visits of each expert.
  let visits: [Range<Int>]
  /// The row of each visit.
  let rows: [Int]
  /// What each visit's result is multiplied by.
  let weights: [Float]
  /// The visits of each row, by expert.
  let visitsOfRow: [[Int]]

  /// Chooses the highest scores of each row, the lower expert of equal ones, and weighs them by softmax: over the chosen
  /// ones, or over all where the chosen weights need not sum to 1.
  init(scores: ActivationRows, experts: ExpertConfiguration) {
    var chosen = [[(row: Int, weight: Float)]](repeating: [], count: experts.expertCount)
    for row in 0..<scores.count {
      let logits = UnsafeBufferPointer(start: scores.floats(row), count: experts.expertCount)
      var best: [Int] = []
      for _ in 0..<experts.expertsPerToken {
        var highest: Int?
        for expert in logits.indices where !best.contains(expert) {
          if let candidate = highest, !(logits[expert] > logits[candidate]) { continue }
          highest = expert
        }
        if let highest { best.append(highest) }
      }
      // The first is the highest of all.
      let maximum = Double(logits[best[0]])
      let exponentials = best.map { exp(Double(logits[$0]) - maximum) }
      let sum =
        experts.normalizesWeights
        ? exponentials.reduce(0, +) : logits.reduce(0) { $0 + exp(Double($1) - maximum) }
      for (expert, exponential) in zip(best, exponentials) {
        chosen[expert].append((row, Float(exponential / sum)))
      }
    }
    var visits: [Range<Int>] = []
    var visitsOfRow = [[Int]](repeating: [], count: scores.count)
    for rows in chosen {
      let first = visits.last?.upperBound ?? 0
      for (offset, visit) in rows.enumerated() { visitsOfRow[visit.row].append(first + offset) }
      visits.append(first..<first + rows.count)
    }
    self.visits = visits
    self.visitsOfRow = visitsOfRow
    rows = chosen.flatMap { $0.map(\.row) }
    weights = chosen.flatMap { $0.map(\.weight) }
  }
}

import ArgumentParser
import Fovea
import FoveaCore

/// The embedding of all texts of a command, part by part.
struct EmbedJob {
  let embedder: TextEmbedder
  let input: EmbedInput
  let options: EmbedOptions
  let format: EmbedFormat
  let shard: Shard?
  let output: String?
  let statePath: String?
  /// Whether JSON lines have the token ids too.
  let writesTokens: Bool
  /// What the vectors depend on; a state of another setup is refused.
  var setup: [String: String] = [:]

  private var tokenCount = 0
  private var truncatedTextCount = 0
  private var newTextCount = 0
  private var duration = Duration.zero

  /// Texts between two writings: many are sorted by length together, few are lost by an interruption.
  private static let textsPerPart = 4096

  init(
    embedder: TextEmbedder, input: EmbedInput, options: EmbedOptions, format: EmbedFormat, shard: Shard?,
    output: String?, statePath: String?, writesTokens: Bool
  ) {
    self.embedder = embedder
    self.input = input
    self.options = options
    self.format = format
    self.shard = shard
    self.output = output
    self.statePath = statePath
    self.writesTokens = writesTokens
  }

  /// The texts of this part: a run of neighbours, so that outputs can be joined.
  private var texts: Range<Int> {
    let count = input.items.count
    guard let shard else { return 0..<count }
    return count * (shard.number - 1) / shard.count..<count * shard.number / shard.count
  }

  mutating func run(_ progress: EvaluationProgress) throws {
    let texts = texts
    var state = EmbeddingJobState(setup: setup, textCount: texts.count)
    if let statePath, let saved = try EmbeddingJobState.read(statePath) {
      try saved.check(setup, textCount: texts.count, path: statePath)
      state = saved
    }
    if state.doneCount == texts.count, state.outputByteCount > 0, let output, isWhole(output, state) { return }
    let file = try output.map { path throws(EmbeddingError) in
      try EmbeddingOutputFile(path, continuingAfter: state.outputByteCount)
    }
    let header = format.header(textCount: texts.count, dimensions: try dimensions())
    if file?.byteCount == 0 { try file?.append(header) }
    do {
      try embed(texts, into: file, state: &state, progress)
    } catch {
      // Without a state nobody goes on with it.
      if statePath == nil { file?.discard() }
      throw error
    }
    if texts.isEmpty, let file { try save(&state, file, done: 0) }
    try file?.finish()
  }

  /// Whether the file has its name already.
  private func isWhole(_ output: String, _ state: EmbeddingJobState) -> Bool {
    guard let file = try? ReadableFile(output) else { return false }
    return file.byteCount == state.outputByteCount
  }

  /// The number of values of a vector, as the options make it.
  private func dimensions() throws -> Int {
    try embedder.embedNow(tokens: [[]], options: options.embeddingOptions)[0].values.count
  }

  private mutating func embed(
    _ texts: Range<Int>, into file: EmbeddingOutputFile?, state: inout EmbeddingJobState,
    _ progress: EvaluationProgress
  ) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let resumedCount = state.doneCount
    while state.doneCount < texts.count {
      let first = texts.lowerBound + state.doneCount
      let part = first..<min(texts.upperBound, first + Self.textsPerPart)
      let (doneCount, tokensBefore) = (state.doneCount, tokenCount)
      let (textCount, statePath) = (state.textCount, statePath)
      let embeddings = try embedder.embedNow(
        input.items, part, prompt: options.embeddingPrompt, options: options.embeddingOptions
      ) { report in
        if Interrupt.isRequested {
          if let statePath {
            StandardStream.error.writeIgnoringFailure("interrupted; \(statePath) holds what is done\n")
          }
          throw ExitCode(Interrupt.exitCode)
        }
        let seconds = max(1e-9, (clock.now - start).seconds)
        let count = doneCount + report.embeddedTextCount
        let texts = Double(count - resumedCount) / seconds
        let tokens = Double(tokensBefore + report.tokenCount) / seconds
        progress.update(
          "\(fixed(texts, texts < 10 ? 1 : 0)) texts/s, \(fixed(tokens, 0)) tokens/s", doneCount: count,
          resumedCount: resumedCount, count: textCount, duration: clock.now - start)
      }
      let tokens = writesTokens ? try embedder.tokens(input.items, part, prompt: options.embeddingPrompt) : nil
      let bytes = format.bytes(embeddings, first: part.lowerBound, ids: input.ids[part], tokens: tokens)
      if let file {
        try file.append(bytes)
      } else {
        try StandardStream.output.write(String(decoding: bytes, as: UTF8.self))
      }
      tokenCount += embeddings.reduce(0) { $0 + $1.tokenCount }
      truncatedTextCount += embeddings.count { $0.isTruncated }
      newTextCount += part.count
      state.doneCount += part.count
      if let file { try save(&state, file, done: state.doneCount) }
    }
    duration = clock.now - start
  }

  private func save(_ state: inout EmbeddingJobState, _ file: EmbeddingOutputFile, done: Int) throws {
    state.doneCount = done
    state.outputByteCount = file.byteCount
    guard let statePath else { return }
    // In this order a state never accounts for what is not there.
    try file.synchronize()
    try state.write(to: statePath)
  }

  /// A sentence if texts were cut.
  func truncationReport(limit: Int) -> [String] {
    guard truncatedTextCount > 0 else { return [] }
    return ["\(truncatedTextCount) of \(newTextCount) texts were cut to \(limit) tokens, which the model allows"]
  }

  func summary(_ folder: String) -> String {
    let seconds = max(1e-9, duration.seconds)
    let pooling = (options.pooling?.modes ?? embedder.pooling).map(\.rawValue).joined(separator: ", ")
    return tableText([
      ("model", folder), ("pooling", pooling), ("most tokens of a text", String(embedder.sequenceLengthLimit)),
      ("embedded", "\(newTextCount) texts of \(tokenCount) tokens"),
      (
        "speed",
        "\(fixed(Double(newTextCount) / seconds, 1)) texts/s, \(fixed(Double(tokenCount) / seconds, 0)) tokens/s"
      ),
    ])
  }
}

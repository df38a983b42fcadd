import ArgumentParser
import Fovea
import FoveaCore

/// `fovea embed search`: the lines nearest to a query.
struct EmbedSearchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search", abstract: "Find the lines nearest to a query.",
    discussion: """
      The index is what 'fovea embed --file lines.txt --format npy --output index.npy' wrote. Prints the similarity, the \
      number of the line from 1 on, and the line.
      """)

  @Argument(help: "What is looked for.")
  var query: String

  @Option(help: ArgumentHelp("The vectors, a NumPy matrix of float32.", valueName: "path"))
  var index: String

  @Option(help: ArgumentHelp("The file that was embedded, to print its lines.", valueName: "path"))
  var texts: String?

  @Flag(help: "The lines are JSON objects with \"text\".")
  var jsonl = false

  @Option(help: ArgumentHelp("How many lines are printed.", valueName: "n"))
  var topK = 5

  @OptionGroup var options: EmbedOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard topK >= 1 else { throw ValidationError("--top-k is \(topK), expected at least 1") }
  }

  /// A line that was found.
  private struct Found: Encodable {
    var score: Float
    /// From 0 on.
    var index: Int
    var text: String?
  }

  func run() async throws {
    let folder = try model.resolvedFolder()
    let stream = try ComputeStream(threadCount: compute.threads)
    let found = try await stream.perform { try search(folder, on: stream) }
    if json {
      try StandardStream.output.write(jsonLine(found))
      return
    }
    let lines = found.map { match in
      fixed(Double(match.score), 4) + "\t\(match.index + 1)" + (match.text.map { "\t\($0)" } ?? "") + "\n"
    }
    try StandardStream.output.write(lines.joined())
  }

  private func search(_ folder: String, on stream: ComputeStream) throws -> [Found] {
    let matrix = try NumPyFile.read(index)
    var lines: [String]?
    if let texts {
      let input = try EmbedInput(InputFile(texts), isJSONL: jsonl, areTokens: false)
      guard case .texts(let read) = input.items, read.count == matrix.rowCount else {
        throw CommandError(
          .badData, "\(texts): has \(input.items.count) texts, but \(index) has \(matrix.rowCount) vectors")
      }
      lines = read
    }
    let embedder = try TextEmbedder(folder: folder, precision: compute.precision, stream: stream)
    let embeddings = try embedder.embedNow(
      [query], prompt: options.embeddingPrompt, options: options.embeddingOptions)
    let vector = embeddings[0].values
    guard vector.count == matrix.columnCount else {
      throw CommandError(
        .badData, "\(index): has vectors of \(matrix.columnCount) values, but the model gives \(vector.count)")
    }
    let vectors = EmbeddingIndex(
      values: matrix.values, dimensions: matrix.columnCount, similarity: embedder.similarity)
    return try vectors.nearest(to: vector, count: topK).map { match in
      Found(score: match.score, index: match.index, text: lines?[match.index])
    }
  }
}

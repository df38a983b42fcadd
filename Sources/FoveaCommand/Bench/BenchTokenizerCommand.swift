import ArgumentParser
import Fovea

/// `fovea bench tokenizer`: times a tokenizer.
struct BenchTokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer", abstract: "Time a model's tokenizer.",
    discussion: """
      Loads the tokenizer and encodes the whole of a file, several times each, on one thread. Prints the medians. What \
      the tokens decode to must be encoded to a text that decodes to the same, unless it holds unknown tokens.
      """)

  @Argument(help: "The file with the text; - for standard input.")
  var file: String

  @Option(
    name: [.customShort("r"), .customLong("repetitions")],
    help: ArgumentHelp("How often each is done.", valueName: "n"))
  var repetitions = 5

  @OptionGroup var model: ModelOptions

  @Flag(help: "Write JSON.")
  var json = false

  func validate() throws {
    guard 1...1000 ~= repetitions else {
      throw ValidationError("--repetitions is \(repetitions), expected 1 to 1000")
    }
  }

  /// What was measured; medians in seconds.
  private struct Report: Encodable {
    let operation = "tokenizer"
    let processor = processorName()
    var vocabularySize: Int
    var bytes: Int
    var tokens: Int
    var loadSeconds: Double
    var encodeSeconds: Double
    var megabytesPerSecond: Double
  }

  func run() throws {
    let folder = try model.resolvedFolder()
    let input = try InputFile(file)
    let clock = ContinuousClock()
    func median<T>(_ body: () throws -> T) throws -> (value: T, seconds: Double) {
      var times: [Double] = []
      var value: T
      repeat {
        let start = clock.now
        value = try body()
        times.append((clock.now - start).seconds)
      } while times.count < repetitions
      return (value, times.median)
    }
    let (tokenizer, loadSeconds) = try median { try loadTokenizer(folder: folder) }
    func encode(_ bytes: [UInt8]) throws -> [Int] {
      try tokenizer.encode(bytes: bytes, addSpecialTokens: false, parseSpecialTokens: false)
    }
    let (tokens, encodeSeconds) = try median { try encode(input.bytes) }
    // Normalizers may change a text, but not what they made of it.
    let text = try tokenizer.decode(tokens)
    let hasUnknown = tokenizer.unknownToken.map(tokens.contains) ?? false
    guard try hasUnknown || tokenizer.decode(encode(Array(text.utf8))) == text else {
      throw CommandError(.internalFault, "\(input.name): the decoded text is encoded to another one")
    }
    let report = Report(
      vocabularySize: tokenizer.vocabularySize, bytes: input.bytes.count, tokens: tokens.count,
      loadSeconds: loadSeconds, encodeSeconds: encodeSeconds,
      megabytesPerSecond: Double(input.bytes.count) / 1e6 / encodeSeconds)
    if json {
      try StandardStream.output.write(jsonLine(report))
      return
    }
    let perEntry = loadSeconds / Double(max(1, report.vocabularySize)) * 1e6
    try StandardStream.output.write(
      tableText([
        (
          "load",
          "\(fixed(loadSeconds * 1000, 1)) ms, \(fixed(perEntry, 2)) µs for each of \(report.vocabularySize) tokens"
        ),
        ("encode", "\(fixed(encodeSeconds * 1000, 3)) ms for \(report.bytes) bytes, \(report.tokens) tokens"),
        ("speed", "\(fixed(report.megabytesPerSecond, 2)) MB/s"),
      ]))
  }
}

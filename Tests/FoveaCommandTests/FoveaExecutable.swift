import Foundation
import Testing

/// The built `fovea`, run as its users run it.
enum FoveaExecutable {
  /// What a run gave.
  struct Output {
    let status: Int32
    let text: String
    let errors: String
  }

  /// The executable lies beside the one that runs the tests.
  static var url: URL {
    get throws {
      let runners = [CommandLine.arguments[0], Bundle.main.bundlePath] + Bundle.allBundles.map(\.bundlePath)
      let candidates = runners.map {
        URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("fovea")
      }
      return try #require(
        candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) }, "no fovea beside \(runners)")
    }
  }

  /// The folder of the bundled model.
  static let bundledModel = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Models/storyteller-15m").path

  /// Starts `fovea` in the root folder, so that nothing depends on the working folder.
  static func start(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:], executable: URL? = nil
  ) throws -> (process: Process, output: FileHandle, errors: FileHandle) {
    let process = Process()
    process.executableURL = try executable ?? url
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: "/")
    // A model that the developer chose must not change what is tested.
    var variables = ProcessInfo.processInfo.environment.filter { $0.key != "FOVEA_MODEL" && $0.key != "FOVEA_ISA" }
    variables["COLUMNS"] = "80"
    process.environment = variables.merging(environment) { $1 }
    let (output, errors, source) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = source
    try process.run()
    if let input { try source.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
    try source.fileHandleForWriting.close()
    return (process, output.fileHandleForReading, errors.fileHandleForReading)
  }

  /// Runs `fovea` to its end.
  static func run(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:], executable: URL? = nil
  ) throws -> Output {
    let (process, output, errors) = try start(
      arguments, input: input, environment: environment, executable: executable)
    let text = try output.readToEnd() ?? Data()
    let errorText = try errors.readToEnd() ?? Data()
    process.waitUntilExit()
    return Output(
      status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
      errors: String(decoding: errorText, as: UTF8.self))
  }

  /// Runs `fovea … --json` and reads the object.
  ///
  /// JSONSerialization misses a few numbers by their last bits: where those count, use `decoded`.
  static func json(_ arguments: [String], environment: [String: String] = [:]) throws -> [String: Any] {
    let line = try jsonLine(arguments, environment: environment)
    return try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
  }

  /// Runs `fovea … --json` and decodes the object, in which numbers have the bits that were written.
  static func decoded<Value: Decodable>(_ type: Value.Type, _ arguments: [String]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: jsonLine(arguments))
  }

  private static func jsonLine(_ arguments: [String], environment: [String: String] = [:]) throws -> Data {
    let output = try run(arguments + ["--json"], environment: environment)
    #expect(output.status == 0, "\(output.errors)")
    #expect(output.text.split(separator: "\n").count == 1)
    return Data(output.text.utf8)
  }
}

/// A folder that is gone after `body`.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  let result = Swift.Result { try body(folder) }
  try FileManager.default.removeItem(at: folder)
  return try result.get()
}

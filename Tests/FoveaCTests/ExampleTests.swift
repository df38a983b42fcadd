import CFovea
import Foundation
import FoveaEmbeddings
import FoveaGeneration
import FoveaTestSupport
import Testing

/// The header and the examples as C, C++ and Python users meet them, with the library that was built with the tests.
@Suite struct ExampleTests {
  private static let header = root.appendingPathComponent("Sources/CFovea/include").path
  private static let tools = root.appendingPathComponent("Tools/c-api").path
  private static let prompt = "Once upon a time, there was a little robot"

  /// The folder of libFoveaC: that of the test runner, or of the bundle it runs.
  private static func libraryFolder() throws -> String {
    let runners = [CommandLine.arguments[0], Bundle.main.bundlePath] + Bundle.allBundles.map(\.bundlePath)
    let folders = runners.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    return try #require(
      folders.first { folder in
        ["so", "dylib"].contains { FileManager.default.fileExists(atPath: "\(folder)/libFoveaC.\($0)") }
      }, "no libFoveaC in \(folders)")
  }

  @discardableResult
  private func run(_ command: [String], environment: [String: String] = [:]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Messages are short: they fit into the pipe.
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    let message = try errors.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(command): \(String(decoding: message, as: UTF8.self))")
    return String(decoding: text, as: UTF8.self)
  }

  /// Builds a C example and runs it.
  private func runExample(_ name: String, _ arguments: [String]) throws -> String {
    let library = try Self.libraryFolder()
    return try withTemporaryFolder { folder in
      try run(
        [
          "clang", "-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", Self.header,
          "\(Self.tools)/\(name).c", "-L", library, "-lFoveaC", "-Wl,-rpath,\(library)", "-o", "\(folder)/example",
        ])
      return try run(["\(folder)/example"] + arguments)
    }
  }

  private func greedyText(tokens limit: Int) async throws -> (text: String, tokens: [Int]) {
    let generator = try await TextGenerator.load(folder: bundledModel)
    var options = generator.defaultOptions
    options.sampling.temperature = 0
    options.maximumTokens = limit
    var (text, tokens) = ("", [Int]())
    for try await event in generator.generate(.text(Self.prompt), options: options) {
      if case .started(let prompt) = event { tokens += prompt.tokens }
      guard case .piece(let piece) = event else { continue }
      text += piece.text
      if let token = piece.token { tokens.append(token.id) }
    }
    return (text, tokens)
  }

  @Test("the header compiles as C99 and as C++ without a warning", arguments: ["c", "c++"])
  func header(language: String) throws {
    try withTemporaryFolder { folder in
      try writeFile("#include <fovea.h>\nint main(void) { return fovea_version() == 0; }\n", to: folder + "/use.txt")
      try run(
        [
          "clang", "-x", language, "-std=\(language == "c" ? "c99" : "c++11")", "-Wall", "-Wextra", "-pedantic",
          "-Werror", "-fsyntax-only", "-I", Self.header, folder + "/use.txt",
        ])
    }
  }

  @Test("the library has every function of the header, and the linker's list lets each of them out")
  func symbols() throws {
    let text = try String(contentsOfFile: Self.header + "/fovea.h", encoding: .utf8)
    let functions = Set(text.matches(of: /\b(fovea_[a-z_]+)\(/).map { String($0.output.1) })
    #expect(functions.count >= 35)
    let list = try String(contentsOfFile: Self.tools + "/symbols.map", encoding: .utf8)
    let patterns = list.matches(of: /(fovea_[a-z_]+)(\*?);/).map { (String($0.output.1), !$0.output.2.isEmpty) }
    let library = try Self.libraryFolder()
    let handle = ["so", "dylib"].lazy.compactMap { dlopen("\(library)/libFoveaC.\($0)", RTLD_NOW | RTLD_LOCAL) }.first
    try #require(handle != nil, "libFoveaC cannot be opened")
    for name in functions {
      #expect(dlsym(handle, name) != nil, "\(name) is not in the library")
      let isListed = patterns.contains { $1 ? name.hasPrefix($0) : name == $0 }
      #expect(isListed, "\(name) is not in symbols.map")
    }
  }

  @Test("the attention example in C runs")
  func attention() throws {
    #expect(try runExample("attention", []).hasPrefix("Fovea \(String(cString: fovea_version())):"))
  }

  @Test("the C example generates the text of the Swift API")
  func generate() async throws {
    let expected = try await greedyText(tokens: 25)
    #expect(try runExample("generate", [bundledModel, Self.prompt, "25"]) == Self.prompt + expected.text + "\n")
  }

  @Test("the C example's similarities are the Swift API's")
  func embed() async throws {
    let texts = ["The cat sat on the mat.", "A kitten slept.", "Tom drove his car."]
    let embedder = try await TextEmbedder.load(bundledModel)
    let vectors = try await embedder.embed(texts, options: EmbeddingOptions(normalizes: true)).map(\.values)
    let lines = try zip(texts, vectors).map { text, vector in
      String(format: "%.5f", Double(try Similarity.dot(vectors[0], vector)))
    }
    let output = try runExample("embed", [bundledModel] + texts).split(separator: "\n")
    // The example sums in double precision.
    for (line, expected) in zip(output, lines) {
      let value = try #require(Double(line.prefix(8)))
      #expect(abs(value - (Double(expected) ?? .nan)) <= 2e-5)
    }
    #expect(output.count == 3 && output.map { $0.dropFirst(10) } == texts.map { $0[...] })
  }

  @Test("loading and freeing everything over and over takes no more memory")
  func soak() throws {
    #if os(Linux)
    #expect(try runExample("soak", [bundledModel, "100"]).hasPrefix("100 loads:"))
    #else
    // The example reads /proc; `leaks` is the tool here.
    #expect(try runExample("generate", [bundledModel, "Once", "1"]).hasPrefix("Once"))
    #endif
  }

  @Test("the Python example gives the tokens, logits and vectors of the Swift API, with ctypes only")
  func python() async throws {
    let expected = try await greedyText(tokens: 30)
    let embedder = try await TextEmbedder.load(bundledModel)
    let vectors = try await embedder.embed(
      ["The cat sat on the mat.", "Tom drove his car. 🚗", "", "A kitten slept."],
      options: EmbeddingOptions(normalizes: true))
    let library = try Self.libraryFolder()
    let file = ["so", "dylib"].map { "\(library)/libFoveaC.\($0)" }.first(where: FileManager.default.fileExists)
    // Without site packages, so that NumPy is absent even where it is installed.
    let output = try run(
      [
        "python3", "-I", "-S", "-B", "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import models; models.main()",
        Self.tools, bundledModel, "--json",
      ],
      environment: ["FOVEA_LIBRARY": try #require(file)])
    let results = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    #expect(results["text"] as? String == expected.text)
    #expect(results["tokens"] as? [Int] == expected.tokens)
    #expect((results["last_logits"] as? [Double])?.count == 8192)
    let rows = try #require(results["vectors"] as? [[Double]])
    #expect(rows.map { $0.map { Float($0) } } == vectors.map(\.values))
    #expect((results["properties"] as? [String: Any])?["model_type"] as? String == "llama")
  }
}

import Fovea
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The README's first Swift block: compiled here, so that it cannot go stale.
func readmeSnippet(folder: String) async throws {
  // snippet begins
  let generator = try await TextGenerator.load(folder: folder)
  for try await event in generator.generate("Once upon a time") {
    switch event {
    case .piece(let piece): print(piece.text, terminator: "")
    case .finished(let summary): print("\n\(summary.generatedTokenCount) tokens, \(summary.finishReason)")
    default: break
    }
  }
  // snippet ends
}

@Suite struct ReadmeSnippetTests {
  @Test func theReadmeShowsTheSnippetThatIsCompiledHere() throws {
    let package = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: package.appendingPathComponent("README.md"), encoding: .utf8)
    let block = try #require(lines(of: readme, after: "```swift", before: "```"))
    let source = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)
    let snippet = try #require(lines(of: source, after: "  // snippet begins", before: "  // snippet ends"))
    let shown = block.filter { !$0.hasPrefix("import ") && !$0.isEmpty && !$0.hasPrefix("let folder =") }
    #expect(shown == snippet.map { String($0.dropFirst(2)) })
    #expect(block.contains("import Fovea"))
    #expect(block.count <= 11)
  }

  private func lines(of text: String, after begin: String, before end: String) -> [String]? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let first = lines.firstIndex(of: begin), let last = lines[(first + 1)...].firstIndex(of: end) else {
      return nil
    }
    return Array(lines[(first + 1)..<last])
  }
}

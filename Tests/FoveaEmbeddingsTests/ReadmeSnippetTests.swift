import Foundation
import FoveaEmbeddings
import Testing

/// The README's second Swift block: compiled and run here, so that it cannot go stale.
func readmeSnippet() async throws {
  // snippet begins
  let embedder = try await TextEmbedder.load("Models/storyteller-15m")
  let stories = ["The cat sat on the mat.", "Tom drove his car.", "A kitten slept."]
  let index = try EmbeddingIndex(try await embedder.embed(stories), similarity: embedder.similarity)
  let query = try await embedder.embed("Where is the cat?", prompt: .modelDefault)
  for match in try index.nearest(to: query.values, count: 2) {
    print(match.score, stories[match.index])
  }
  // snippet ends
}

@Suite struct ReadmeSnippetTests {
  @Test func theReadmeShowsTheSnippetThatIsCompiledHere() throws {
    let package = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: package.appendingPathComponent("README.md"), encoding: .utf8)
    let source = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8).components(separatedBy: "\n")
    let begin = try #require(source.firstIndex(of: "  // snippet begins"))
    let end = try #require(source.firstIndex(of: "  // snippet ends"))
    let snippet = source[(begin + 1)..<end].map { String($0.dropFirst(2)) }.joined(separator: "\n")
    #expect(readme.contains("```swift\nimport Fovea\n\n\(snippet)\n```"))
  }
}

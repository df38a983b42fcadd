import Fovea
import FoveaGeneration
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct ModelDefaultsTests {
  @Test func aFolderWithoutTheFileIsGreedy() throws {
    let options = try defaults(nil)
    #expect(options.sampling == SamplingOptions())
    #expect(options.maximumTokens == 256)
  }

  @Test func samplingFieldsAreTaken() throws {
    let options = try defaults(
      """
      {"do_sample": true, "temperature": 0.7, "top_k": 40, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.1,
       "max_new_tokens": 400, "eos_token_id": [2, 3], "transformers_version": "4.40"}
      """)
    var expected = SamplingOptions(temperature: 0.7, topK: 40, topP: 0.95, minP: 0.1)
    expected.repetitionPenalty = 1.1
    #expect(options.sampling == expected)
    #expect(options.maximumTokens == 400)
  }

  @Test func withoutDoSampleTheChoiceIsGreedy() throws {
    #expect(try defaults(#"{"temperature": 0.7}"#).sampling.temperature == 0)
    let sampling = try defaults(#"{"do_sample": true}"#).sampling
    #expect(sampling.temperature == 1 && sampling.topK == 50)
  }

  @Test(arguments: ["", "{", "[]", #"{"temperature": "hot"}"#, #"{"do_sample": true, "top_p": 7}"#])
  func aBrokenFileIsNamed(text: String) {
    #expect {
      try defaults(text)
    } throws: { error in
      guard case GenerationError.malformedFile(let path, _) = error else { return false }
      return path.hasSuffix("/generation_config.json")
    }
  }

  private func defaults(_ text: String?) throws -> GenerationOptions {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    if let text { try Data(text.utf8).write(to: folder.appendingPathComponent("generation_config.json")) }
    return try GenerationOptions.defaults(folder: folder.path)
  }
}

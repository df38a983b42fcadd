import Foundation
import FoveaModels
import FoveaTestSupport
import Testing

@Suite struct RotaryFrequencyTests {
  @Test("frequencies and attention factors of all settings are those of transformers")
  func equalsTransformers() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: fixture("rotary-frequencies.json")))
    let cases = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    #expect(cases.count == 16)
    for fields in cases {
      let name = try #require(fields["name"] as? String)
      let settings = try #require(fields["config"])
      let configuration = try ModelConfiguration(parsing: Array(JSONSerialization.data(withJSONObject: settings)))
      let rotary = RotaryEmbedding(
        configuration.rotary, headDimension: configuration.headDimension,
        contextLength: configuration.contextLength)
      let attentionFactor = try #require(fields["attentionFactor"] as? Double)
      #expect(rotary.attentionFactor == Float(attentionFactor), "\(name)")
      let positions = try #require(fields["positions"] as? [Int])
      let frequencies = try #require(fields["inverseFrequencies"] as? [[Double]])
      #expect(positions.count == frequencies.count)
      for (position, expected) in zip(positions, frequencies) {
        let actual = rotary.inverseFrequencies(position: position).map(Double.init)
        let mismatch = firstMismatch(actual, expected, absolute: 0, relative: 1e-6)
        #expect(mismatch == nil, "\(name), position \(position): \(mismatch ?? "")")
      }
    }
  }

  @Test(
    "dynamic scaling lengthens the context by its factor, and a position's angles do not depend on what came before")
  func dynamic() throws {
    let settings = """
      {"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
       "num_attention_heads": 2, "vocab_size": 8, "max_position_embeddings": 64,
       "rope_scaling": {"type": "dynamic", "factor": 4.0}}
      """
    let configuration = try ModelConfiguration(parsing: Array(settings.utf8))
    #expect(configuration.contextLength == 256)
    let rotary = RotaryEmbedding(configuration.rotary, headDimension: 32, contextLength: 256)
    #expect(rotary.inverseFrequencies(position: 63) == rotary.inverseFrequencies)
    let late = rotary.inverseFrequencies(position: 200)
    #expect(zip(late.dropFirst(), rotary.inverseFrequencies.dropFirst()).allSatisfy { $0 < $1 })
    _ = rotary.inverseFrequencies(position: 255)
    #expect(rotary.inverseFrequencies(position: 200) == late)
  }
}

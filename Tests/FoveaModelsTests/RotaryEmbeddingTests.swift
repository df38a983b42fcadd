import Foundation
import FoveaModels
import Testing

@Suite struct RotaryEmbeddingTests {
  /// What transformers gives for one configuration; see Tools/golden/make_rotary.py.
  struct Reference {
    let label: String
    let configuration: ModelConfiguration
    let rows: [(position: Int, cosine: [Double], sine: [Double])]

    static func all() throws -> [Reference] {
      let data = try Data(contentsOf: URL(fileURLWithPath: fixture("rotary.json")))
      let cases = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
      return try cases.map { fields in
        let settings = try #require(fields["config"])
        let bytes = Array(try JSONSerialization.data(withJSONObject: settings))
        let configuration = try ModelConfiguration(parsing: bytes)
        let rows = try #require(fields["rows"] as? [[Any]]).map { row in
          (
            position: try #require(row[0] as? Int), cosine: try #require(row[1] as? [Double]),
            sine: try #require(row[2] as? [Double])
          )
        }
        return Reference(
          label: "\(fields["name"] ?? "") \(configuration.headDimension)", configuration: configuration, rows: rows)
      }
    }
  }

  @Test("cosines and sines of every rotary type are those of transformers, position after position")
  func equalsTransformers() throws {
    let references = try Reference.all()
    #expect(references.count == 16)
    for reference in references {
      let rotary = RotaryEmbedding(
        reference.configuration.rotary, headDimension: reference.configuration.headDimension,
        contextLength: reference.configuration.contextLength)
      #expect(rotary.pairCount == reference.configuration.headDimension / 2)
      for (position, expectedCosine, expectedSine) in reference.rows {
        var cosine = [Float](repeating: .nan, count: rotary.pairCount)
        var sine = cosine
        rotary.fill(position: position, cosine: &cosine, sine: &sine)
        // Frequencies agree to a float32 rounding, which an angle multiplies by the position.
        let limit = 3e-7 * Double(position) + 1e-6
        let pairs = zip(cosine + sine, expectedCosine + expectedSine)
        let worst = pairs.map { abs(Double($0) - $1) }.max() ?? .infinity
        #expect(worst <= limit, "\(reference.label), position \(position): \(worst)")
      }
    }
  }
}

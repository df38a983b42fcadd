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

  @Test("exact angles of positions in the millions differ as those of small positions do")
  func largePositions() {
    let rotary = RotaryEmbedding(RotaryConfiguration(), headDimension: 64, contextLength: 512)
    func angles(_ position: Int) -> [(cosine: Double, sine: Double)] {
      var cosine = [Float](repeating: .nan, count: rotary.pairCount)
      var sine = cosine
      rotary.fill(position: position, isExact: true, cosine: &cosine, sine: &sine)
      return zip(cosine, sine).map { (Double($0), Double($1)) }
    }
    let expected = angles(300)
    for position in [4_000_001, 123_456_789] {
      for (pair, (late, early)) in zip(angles(position + 300), angles(position)).enumerated() {
        let cosine = late.cosine * early.cosine + late.sine * early.sine
        let sine = late.sine * early.cosine - late.cosine * early.sine
        let error = max(abs(cosine - expected[pair].cosine), abs(sine - expected[pair].sine))
        #expect(error <= 5e-7, "position \(position), pair \(pair): \(error)")
      }
    }
  }
}

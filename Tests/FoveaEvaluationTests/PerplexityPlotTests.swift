import Foundation
import FoveaEvaluation
import FoveaTestSupport
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct PerplexityPlotTests {
  /// Counts what an image holds.
  private final class Reader: NSObject, XMLParserDelegate {
    var texts: [String] = []
    var lines: [String] = []
    private var isText = false

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      isText = name == "text"
      if isText { texts.append("") }
      if name == "path", attributes["class"]?.hasPrefix("line") == true { lines.append(attributes["d"] ?? "") }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
      if isText { texts[texts.count - 1] += string }
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
      isText = false
    }
  }

  private func read(_ svg: String) -> Reader {
    let reader = Reader()
    let parser = XMLParser(data: Data(svg.utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    return reader
  }

  /// A file of single tokens whose losses a closure gives.
  private func perTokenFile(_ path: String, count: Int, loss: (Int) -> Double) throws {
    let lines = (1...count).map { "0\t\($0)\t5\t\(loss($0))\n" }
    try writeFile("document\tposition\ttoken\tloss\n" + lines.joined(), to: path)
  }

  @Test func curvesOfFilesAndStatesAreDrawnWithTheirNames() throws {
    try withTemporaryFolder { folder in
      try perTokenFile(folder + "/a", count: 1000) { $0 < 500 ? 1 : 3 }
      let evaluator = try TinyEvaluation.evaluator(.chunked, text: TinyEvaluation.text([1000]))
      var run = try EvaluationRun(evaluator, modelFingerprint: "", stateFile: .init(folder + "/state"))
      try run.run()
      let curves = [
        try PerplexityCurve(name: "4 + 252, <a> & \"b\"\u{1}", file: folder + "/a"),
        try PerplexityCurve(name: "state", file: folder + "/state"),
      ]
      let plot = try PerplexityPlot(curves, stretch: 100)
      try plot.write(to: folder + "/plot.svg")
      #expect(try bytes(ofFile: folder + "/plot.svg") == Array(plot.svg.utf8))
      let image = read(plot.svg)
      #expect(image.texts.contains { $0.hasPrefix("4 + 252, <a> & \"b\"\u{FFFD}: 7.") })
      #expect(image.texts.contains { $0.hasPrefix("state: ") })
      #expect(image.texts.contains("perplexity, means of 100 tokens") && image.texts.contains("1,000"))
      // A legend's dash and a line each. Positions 1 to 1000 are in 11 stretches, the last of which joins the one before.
      #expect(image.lines.count == 4)
      #expect(image.lines[2].split(separator: "L").count == 10)
    }
  }

  @Test(arguments: [Double.infinity, .nan, 700, -700])
  func aLineHasGapsWherePerplexityIsOffAnyScale(loss: Double) throws {
    try withTemporaryFolder { folder in
      try perTokenFile(folder + "/a", count: 399) { (100..<200).contains($0) ? loss : 2 }
      let image = read(try PerplexityPlot([PerplexityCurve(name: "a", file: folder + "/a")], stretch: 100).svg)
      let line = try #require(image.lines.last)
      #expect(line.filter { $0 == "M" }.count == 2 && line.filter { $0 == "L" }.count == 1 && line.contains("h.1"))
      #expect(!line.contains("nan") && !line.contains("inf"))
    }
  }

  @Test(arguments: [0.001, 0.9, 1, 1.0001, 5, 200])
  func everyRangeHasMarks(spread: Double) throws {
    try withTemporaryFolder { folder in
      try perTokenFile(folder + "/a", count: 300) { $0 < 150 ? 3 : 3 + spread }
      let image = read(try PerplexityPlot([PerplexityCurve(name: "a", file: folder + "/a")]).svg)
      // The title, a legend, the horizontal axis's name and marks, and at least two on the vertical one.
      #expect(image.texts.count >= 3 + 4 + 2, "\(image.texts)")
      #expect(image.texts.count <= 3 + 10 + 12, "\(image.texts)")
    }
  }

  @Test(arguments: [
    ("", "its first line is another one"), ("document\tposition\ttoken\tloss\n0\t1\t2\n", "line 2"),
    ("document\tposition\ttoken\tloss\n0\t1\t2\t0.5\n0\t-1\t2\t0.5\n", "line 3"),
    ("document\tposition\ttoken\tloss\n0\t99999999999999\t2\t0.5\n", "line 2"),
    ("{}", "is no evaluation state"),
  ])
  func aFileThatHoldsNoCurveIsNamed(contents: String, message: String) throws {
    try withTemporaryFolder { folder in
      try writeFile(contents, to: folder + "/a")
      let error = #expect(throws: EvaluationError.self) { try PerplexityCurve(name: "a", file: folder + "/a") }
      #expect(error?.description.contains(message) == true, "\(String(describing: error))")
      #expect(error?.file == folder + "/a")
    }
  }

  @Test func nothingToDrawIsAnError() throws {
    try withTemporaryFolder { folder in
      try writeFile("document\tposition\ttoken\tloss\n", to: folder + "/a")
      let curve = try PerplexityCurve(name: "a", file: folder + "/a")
      #expect(throws: EvaluationError.self) { try PerplexityPlot([curve]) }
    }
  }
}

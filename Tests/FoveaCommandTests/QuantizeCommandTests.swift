import Foundation
import FoveaTestSupport
import Testing

@Suite struct QuantizeCommandTests {
  @Test func theResultIsAModelOfItsOwn() throws {
    try withTemporaryFolder { folder in
      let target = folder + "/8bit"
      let report = try FoveaExecutable.json([
        "quantize", FoveaExecutable.bundledModel, target, "--bits", "8", "--json",
      ])
      let (before, after) = (report["byte_count_before"] as? Int, report["byte_count_after"] as? Int)
      #expect(before == 29_111_040 && (after ?? 0) > 14_000_000 && (after ?? 0) < 16_000_000)
      let own = try FoveaExecutable.run([
        "generate", "Once upon a time", "--model", target, "--temperature", "0", "--max-tokens", "12",
      ])
      #expect(own.status == 0 && own.text.count > 20, "\(own.errors)")

      let again = try FoveaExecutable.run(["quantize", FoveaExecutable.bundledModel, target])
      #expect(again.status == 64 && again.errors == "fovea: \(target): exists already\n", "\(again.errors)")
    }
  }

  @Test(arguments: [
    (["--bits", "7"], "--bits is 7"), (["--group-size", "48"], "--group-size is 48"), (["--mixed", "6_4"], "--mixed"),
  ])
  func optionsAreChecked(options: [String], message: String) throws {
    let output = try FoveaExecutable.run(["quantize", "in", "out"] + options)
    #expect(output.status == 64 && output.errors.contains(message), "\(output.status) \(output.errors)")
  }
}

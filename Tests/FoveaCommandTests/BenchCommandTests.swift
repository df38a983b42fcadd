import Foundation
import Testing

@Suite(.serialized) struct BenchCommandTests {
  static let small = ["bench", "attention", "--shape", "1,2,1,8,8,32", "--repetitions", "1"]

  @Test func jsonHoldsPeaksAndOneResultForEachTypeAndThreadCount() throws {
    let object = try FoveaExecutable.json(BenchCommandTests.small + ["--threads", "1,2"])
    #expect(object["operation"] as? String == "attention")
    #expect(object["instruction_set"] is String && object["processor"] is String)
    let peaks = try #require(object["peaks"] as? [[String: Any]])
    #expect(peaks.map { $0["threads"] as? Int } == [1, 2])
    for peak in peaks { #expect(try #require(peak["memory_gb_per_second"] as? Double) > 0) }
    let results = try #require(object["results"] as? [[String: Any]])
    let types = ["float32", "float32", "bfloat16", "bfloat16", "float16", "float16"]
    #expect(results.map { $0["type"] as? String } == types)
    for result in results {
      #expect(result["mask"] as? String == "causal")
      let shape = try #require(result["shape"] as? [String: Int])
      #expect(shape["head_count"] == 2 && shape["key_value_head_count"] == 1 && shape["head_dimension"] == 32)
      for key in ["median", "minimum", "maximum", "gflops", "gb_per_second", "memory_share"] {
        #expect(try #require(result[key] as? Double, "\(key)") > 0)
      }
    }
  }

  @Test(arguments: ["none", "causal", "boolean", "additive"])
  func everyMaskIsCheckedAndTimed(mask: String) throws {
    let shapes = ["--shape", "2,6,3,70,300,40", "--shape", "1,4,1,1,600,64", "--shape", "1,1,1,9,5,8"]
    let output = try FoveaExecutable.run(["bench", "attention", "--repetitions", "1", "--mask", mask] + shapes)
    #expect(output.status == 0, "\(output.errors)")
    #expect(output.errors.isEmpty)
    let lines = output.text.split(separator: "\n")
    #expect(lines.first?.hasPrefix("attention, ") == true)
    #expect(lines.count { $0.contains(" \(mask) ") } == 9)
  }

  @Test func theScalarInstructionSetHasNoPeakOfArithmetic() throws {
    let object = try FoveaExecutable.json(
      BenchCommandTests.small + ["--type", "bfloat16"], environment: ["FOVEA_ISA": "scalar"])
    let peak = try #require((object["peaks"] as? [[String: Any]])?.first)
    #expect(peak["float32_gflops"] == nil)
    let result = try #require((object["results"] as? [[String: Any]])?.first)
    #expect(result["peak_share"] == nil && result["gflops"] is Double)
  }
}

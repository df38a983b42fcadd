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
      for key in ["median", "minimum", "maximum", "gflops", "gb_per_second", "reading_share", "scratch_bytes"] {
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

  @Test func aModelsPromptsAndGenerationAreTimedAgainstTheirLimits() throws {
    let object = try FoveaExecutable.json(
      ["bench", "-p", "16", "-n", "4,2", "-d", "0,8", "-t", "1,2", "-r", "2"])
    let results = try #require(object["results"] as? [[String: Any]])
    let tests = ["pp16", "tg4", "tg2", "pp16 @ d8", "tg4 @ d8", "tg2 @ d8"]
    #expect(results.map { $0["test"] as? String } == tests + tests)
    #expect(results.map { $0["threads"] as? Int } == Array(repeating: 1, count: 6) + Array(repeating: 2, count: 6))
    for result in results {
      let median = try #require(result["median"] as? Double)
      let range = try (#require(result["minimum"] as? Double), #require(result["maximum"] as? Double))
      #expect(0 < range.0 && range.0 <= median && median <= range.1)
      for key in ["limit", "limit_share", "load_seconds", "peak_memory_bytes", "parameter_count"] {
        #expect(try #require(result[key] as? Double, "\(key)") > 0)
      }
    }
  }

  @Test func theProfileOfAModelAddsUp() throws {
    let object = try FoveaExecutable.json(["bench", "-p", "16", "-n", "4", "-r", "1", "--profile"])
    for result in try #require(object["results"] as? [[String: Any]]) {
      let profile = try #require(result["profile"] as? [String: Any])
      let phases = try #require(profile["phases"] as? [[String: Any]])
      let names = phases.compactMap { $0["phase"] as? String }
      for name in ["projections", "attention", "norms", "feed-forward", "head"] { #expect(names.contains(name)) }
      #expect(names.contains("sampling") == (result["kind"] as? String == "tg"))
      let shares = phases.compactMap { $0["share"] as? Double }
      #expect(shares.count == phases.count && abs(shares.reduce(0, +) - 1) <= 1e-9)
      let waiting = try #require(profile["waiting_share"] as? Double)
      #expect(0 <= waiting && waiting < 1)
    }
  }

  @Test func aTokenizerIsTimedOnAFile() throws {
    let file = FoveaExecutable.bundledModel + "/config.json"
    let object = try FoveaExecutable.json(["bench", "tokenizer", file, "-r", "1"])
    #expect(object["vocabulary_size"] as? Int == 8192)
    for key in ["bytes", "tokens", "load_seconds", "encode_seconds", "megabytes_per_second"] {
      #expect(try #require(object[key] as? Double, "\(key)") > 0)
    }
    let missing = try FoveaExecutable.run(["bench", "tokenizer", "no such file"])
    #expect(missing.status != 0 && missing.errors.contains("no such file"))
  }

  @Test func theCostOfThreadsIsTheirBarrierAndWhatTheyTakeWhenIdle() throws {
    let object = try FoveaExecutable.json(["bench", "threads", "--threads", "1,3"])
    let results = try #require(object["results"] as? [[String: Any]])
    #expect(results.map { $0["threads"] as? Int } == [1, 3])
    for result in results {
      let median = try #require(result["barrier_median"] as? Double)
      #expect(try #require(result["barrier_minimum"] as? Double) <= median)
      #expect(try #require(result["idle_share"] as? Double) >= 0)
    }
    #expect(results.map { $0["sleeping_threads"] as? Int } == [0, 2])
  }

  @Test(arguments: [
    (["-p", "-1"], 64), (["-d", "2000"], 64), (["-r", "0"], 64), (["--model", "/nowhere/at/all"], 66),
  ])
  func badOptionsOfTheModelBenchAreOneLine(arguments: [String], status: Int) throws {
    let output = try FoveaExecutable.run(["bench"] + arguments)
    #expect(output.status == status)
    #expect(output.errors.split(separator: "\n").count == 1, "\(output.errors)")
  }
}

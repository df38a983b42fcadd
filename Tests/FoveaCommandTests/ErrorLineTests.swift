import Foundation
import Testing

@Suite struct ErrorLineTests {
  // Exit code, arguments, and what the line must name.
  static let cases: [(Int32, [String], String)] = [
    (64, ["generate"], "give one prompt"),
    (64, ["generate", "a", "--file", "b"], "give one prompt"),
    (64, ["nonsense"], "nonsense"),
    (64, ["generate", "x", "--nonsense"], "--nonsense"),
    (64, ["generate", "x", "--temperature", "-1"], "--temperature"),
    (64, ["generate", "x", "--temperature", "nan"], "--temperature"),
    (64, ["generate", "x", "--temperature", "hot"], "--temperature"),
    (64, ["generate", "x", "--top-k", "-1"], "--top-k"),
    (64, ["generate", "x", "--top-p", "0"], "--top-p"),
    (64, ["generate", "x", "--top-p", "1.5"], "--top-p"),
    (64, ["generate", "x", "--min-p", "2"], "--min-p"),
    (64, ["generate", "x", "--max-tokens", "-1"], "--max-tokens"),
    (64, ["generate", "x", "--repetition-penalty", "0"], "--repetition-penalty"),
    (64, ["generate", "x", "--repetition-window", "-1"], "--repetition-window"),
    (64, ["generate", "x", "--logit-bias", "5"], "--logit-bias"),
    (64, ["generate", "x", "--logit-bias", "5:inf"], "--logit-bias"),
    (64, ["generate", "x", "--logit-bias", "123456:1"], "123456"),
    (64, ["generate", "x", "--stop", ""], "--stop"),
    (64, ["generate", "x", "--seed", "-1"], "--seed"),
    (64, ["generate", "x", "--threads", "0"], "--threads"),
    (64, ["generate", "x", "--precision", "float8"], "--precision"),
    (64, ["generate", "--prompt-tokens", "1,a"], "--prompt-tokens"),
    (64, ["generate", "--prompt-tokens", "1,8192"], "token 8192 is not in the model's vocabulary of 8192 tokens"),
    (66, ["generate", "x", "--model", "/no/such/folder"], "/no/such/folder"),
    (66, ["generate", "x", "--model", "/dev/null"], "/dev/null"),
    (66, ["generate", "--file", "/no/such/file"], "/no/such/file"),
    (66, ["inspect", "--model", "/no/such/folder"], "/no/such/folder"),
    (64, ["bench", "attention", "--shape", "1,2,3,4"], "1,2,3,4"),
    (64, ["bench", "attention", "--shape", "1,3,2,4,4,8"], "1,3,2,4,4,8"),
    (64, ["bench", "attention", "--type", "float64"], "float64"),
    (64, ["bench", "attention", "--threads", "0"], "--threads"),
    (64, ["bench", "attention", "--repetitions", "0"], "--repetitions"),
    (64, ["bench", "attention", "--mask", "full"], "--mask"),
    (64, ["bench", "attention", "--scaling", "--shape", "1,1,1,1,1,8"], "--scaling"),
  ]

  @Test(arguments: cases)
  func anErrorIsOneLineThatNamesTheCulprit(status: Int32, arguments: [String], culprit: String) throws {
    try expectError(status, arguments, culprit)
  }

  @Test func aPromptLongerThanTheContextIsRefusedWithBothNumbers() throws {
    let tokens = Array(repeating: "5", count: 1025).joined(separator: ",")
    try expectError(64, ["generate", "--prompt-tokens", tokens], "1025")
    try expectError(64, ["generate", "--prompt-tokens", tokens], "1024")
  }

  @Test func invalidUTF8IsRefusedWithItsPlace() throws {
    try withTemporaryFolder { folder in
      let file = folder.appendingPathComponent("prompt.txt")
      try Data([0x61, 0xC3, 0xA9, 0xFF, 0x62]).write(to: file)
      try expectError(65, ["generate", "--file", file.path], "\(file.path): byte 3 ")
    }
  }

  @Test func anEmptyFolderIsNoModel() throws {
    try withTemporaryFolder { folder in
      try expectError(66, ["generate", "x", "--model", folder.path], "\(folder.path)/config.json")
    }
  }

  @Test func anUnknownInstructionSetIsNamed() throws {
    let output = try FoveaExecutable.run(["generate", "x"], environment: ["FOVEA_ISA": "abacus"])
    #expect(output.status == 64 && output.errors.contains("abacus"))
  }

  private func expectError(_ status: Int32, _ arguments: [String], _ culprit: String) throws {
    let output = try FoveaExecutable.run(arguments)
    #expect(output.status == status, "\(arguments): \(output.errors)")
    #expect(output.text.isEmpty)
    #expect(output.errors.hasPrefix("fovea: ") && output.errors.hasSuffix("\n"))
    #expect(output.errors.split(separator: "\n").count == 1, "\(output.errors)")
    #expect(output.errors.contains(culprit), "\(output.errors)")
  }
}

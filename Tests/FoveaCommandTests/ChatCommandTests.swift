import Foundation
import FoveaTestSupport
import Testing

@Suite struct ChatCommandTests {
  /// The bundled model with a template of its own.
  private func withChatModel(_ body: (String, String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let model = folder + "/model"
      try FileManager.default.copyItem(atPath: FoveaExecutable.bundledModel, toPath: model)
      try writeFile(
        "{{ bos_token }}{% for m in messages %}{{ m.content }} {% endfor %}", to: model + "/chat_template.jinja")
      try body(folder, model)
    }
  }

  private let options = ["--temperature", "0", "--max-tokens", "8"]

  @Test func eachLineIsATurn() throws {
    try withChatModel { folder, model in
      let saved = folder + "/saved.json"
      let output = try FoveaExecutable.run(
        ["chat", "--model", model] + options,
        input: "Once upon a time\n\nThen\n/save \(saved)\n/reset\n/nonsense\n/exit\nno\n")
      #expect(output.status == 0, "\(output.errors)")
      #expect(output.errors.contains("4 messages") && output.errors.contains("/nonsense"))
      let messages =
        try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: saved))) as? [[String: String]]
      #expect(messages?.map { $0["role"] } == ["user", "assistant", "user", "assistant"])
      #expect(messages?.first?["content"] == "Once upon a time")
      // What was said is what was saved.
      for message in messages ?? [] where message["role"] == "assistant" {
        #expect(output.text.contains(message["content"] ?? "?"))
      }
      let again = try FoveaExecutable.run(["chat", "--model", model, "--load", saved] + options, input: "And\n")
      #expect(again.status == 0 && !again.text.isEmpty)
      let direct = try FoveaExecutable.run(["generate", "--chat", "--model", model, "Once upon a time"] + options)
      #expect(direct.status == 0 && output.text.hasPrefix(direct.text), "\(direct.text)")
    }
  }

  @Test func badInputIsNamed() throws {
    try withChatModel { folder, model in
      try writeFile("{", to: folder + "/broken.json")
      let broken = try FoveaExecutable.run(["chat", "--model", model, "--load", folder + "/broken.json"])
      #expect(broken.status == 65 && broken.errors.contains("broken.json"))
      let none = try FoveaExecutable.run(["chat"], input: "hi\n")
      #expect(none.status == 66 && none.errors.contains("chat template"), "\(none.errors)")
      let system = try FoveaExecutable.run(["generate", "x", "--system", "y"])
      #expect(system.status == 64 && system.errors.contains("--chat"))
    }
  }
}

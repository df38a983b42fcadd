import Foundation
import FoveaCore
import FoveaTestSupport
import FoveaTokenizers
import Testing

@Suite struct ChatTemplateTests {
  /// Every case of a file of Tools/make-template-fixtures.py.
  private func check(_ bytes: [UInt8]) throws {
    let cases = try #require(try TemplateValue(parsing: bytes).elements)
    #expect(cases.count > 20)
    for case .dictionary(let entry) in cases {
      guard case .string(let name)? = entry["name"], case .string(let source)? = entry["template"],
        case .dictionary(let inputs)? = entry["variables"]
      else {
        Issue.record("a case is malformed")
        continue
      }
      var variables: [String: TemplateValue] = [:]
      for case (.string(let name), let value) in inputs.members { variables[name] = value }
      let result = Result { () throws(TemplateError) in try ChatTemplate(source).render(variables: variables) }
      switch (result, entry["text"]) {
      case (.success(let text), .string(let expected)?):
        #expect(
          text.utf8.elementsEqual(expected.utf8),
          "\(name): differs from byte \(zip(text.utf8, expected.utf8).prefix { $0 == $1 }.count) on: '\(text)', not '\(expected)'"
        )
      case (.success(let text), _):
        // `map` and its like give lists here, so that `tojson` of them works, which fails in Python.
        if case .string(let reason)? = entry["error"], reason.contains("type generator") { continue }
        Issue.record("\(name): '\(text)', but transformers fails")
      case (.failure(let error), .string?): Issue.record("\(name): \(error)")
      case (.failure, _): break
      }
    }
  }

  @Test("templates give what transformers gives")
  func fixtures() throws {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/templates.json", withExtension: nil))
    try check([UInt8](Data(contentsOf: url)))
  }

  @Test(
    "templates of a file that the environment names",
    .enabled(if: ProcessInfo.processInfo.environment["FOVEA_TEMPLATE_CASES"] != nil))
  func published() throws {
    let path = ProcessInfo.processInfo.environment["FOVEA_TEMPLATE_CASES"] ?? ""
    try check([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
  }

  @Test(
    "hostile templates end in an error",
    arguments: [
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{{ 'a' * 1000000000 }}", "{{ [1] * 1000000000 }}", "{{ range(1000000000) | list }}", "{{ 2 ** 1000000 }}",
      "{% set ns = namespace(s='a') %}{% for i in range(1000) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(s=['a']) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ " + String(repeating: "(", count: 100_000) + "1" + String(repeating: ")", count: 100_000) + " }}",
      "{{ " + String(repeating: "[", count: 5_000) + " }}", "{{ " + String(repeating: "-", count: 5_000) + "1 }}",
      "{{ 1" + String(repeating: "+1", count: 50_000) + " }}",
      String(repeating: "{% if true %}", count: 5_000), "{{ x" + String(repeating: ".a", count: 50_000) + " }}",
      "{{ ''.__class__.__mro__ }}", "{{ messages['__class__']['x'] }}", "{{ [].append(1) }}",
      "{{ '%10000000000d' % 1 }}", "{{ 'x' | indent(100000000) | indent(100000000) }}{{ '%999999999s' | format('x') }}",
      "{% set x = 'ab' * 1000000 %}{% for i in range(1000) %}{{ ('aab' * 100000) in x }}{% endfor %}",
      "{% set n = namespace(s=[]) %}{% for i in range(30000) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
      "{% set n = namespace(s=[]) %}{% for i in range(30000) %}{% set n.s = {'a': n.s} %}{% endfor %}{{ n.s }}",
      "{% set n = namespace(s=[]) %}{% for i in range(30000) %}{% set n.s = [n.s.index] %}{% endfor %}{{ 1 // 0 }}",
      "{% set n = namespace(s=[]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s == n.s }}",
      "{% set n = namespace(c=namespace()) %}{% set h = n.c %}{% for i in range(30000) %}{% set c = n.c %}{% set c.next = namespace() %}{% set n.c = c.next %}{% endfor %}{{ 1 // 0 }}",
      "{% set n = namespace(f=1) %}{% for i in range(30000) %}{% set p = n.f %}{% macro g() %}{{ p }}{% endmacro %}{% set n.f = g %}{% endfor %}{{ 1 // 0 }}",
      "{{ x" + String(repeating: " or x", count: 50_000) + " }}",
      "{{ 1" + String(repeating: " and 1", count: 50_000) + " }}",
      "{{ 1" + String(repeating: " if 1", count: 50_000) + " }}",
      "{{ " + String(repeating: "9", count: 100_000) + " }}",
      "{% for i in range(9) %}{{ range(99999) | list | tojson(indent=100) }}{% endfor %}", "{{ '%.99f' % 1.5 }}",
      "{{ 1.5 ** 1000000 }}",
      "{{ 'a'.zfill(100000000000) }}", "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    ])
  func hostile(source: String) {
    // A small stack, as tasks have.
    let outcome = Outcome()
    let thread = Thread {
      let start = ContinuousClock.now
      do throws(TemplateError) {
        outcome.text = try ChatTemplate(source).render([ChatMessage(role: "user", content: "hi")])
      } catch {
        outcome.error = error
      }
      outcome.duration = ContinuousClock.now - start
      outcome.done.signal()
    }
    thread.stackSize = 512 << 10
    thread.start()
    outcome.done.wait()
    #expect(outcome.error != nil, "rendered '\(outcome.text.prefix(100))'")
  }

  private final class Outcome: @unchecked Sendable {
    var text = ""
    var error: TemplateError?
    var duration = Duration.zero
    let done = DispatchSemaphore(value: 0)
  }

  @Test("a folder's template is found, and its tokens are inputs")
  func loading() throws {
    try withTemporaryFolder { folder in
      func write(_ text: String, _ name: String) throws { try writeFile(text, to: folder + "/" + name) }
      #expect(throws: TemplateError.self) { try ChatTemplate.load(folder: folder) }
      try write(
        #"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}]}"#,
        "tokenizer_config.json")
      let message = ChatMessage(role: "user", content: "hi")
      let plain = try ChatTemplate.load(folder: folder)
      #expect(try plain.template.render([message], variables: plain.variables) == "<s>hi</s>")
      #expect(try ChatTemplate.load(folder: folder, withTools: true).template.render([message]) == "T")
      try write("file {{ eos_token }}", "chat_template.jinja")
      let own = try ChatTemplate.load(folder: folder)
      #expect(try own.template.render([message], variables: own.variables) == "file </s>")
      try write("{% if %}", "chat_template.jinja")
      do {
        _ = try ChatTemplate.load(folder: folder)
        Issue.record("loaded")
      } catch {
        #expect("\(error)".contains("chat_template.jinja:1"), "\(error)")
      }
    }
  }
}

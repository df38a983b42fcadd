import Fovea
import FoveaGeneration
import Synchronization

/// A model of `vocabularySize` tokens whose next token a closure of all tokens so far decides.
struct FakeModel: TokenEvaluator {
  var vocabularySize = 260
  var contextLength = 1000
  var beginningOfTextToken: Int? = 1
  var endOfTextTokens = [2]
  let stream: ComputeStream
  let next: @Sendable ([Int]) -> Int
  /// How many tokens a text has when evaluation fails.
  var failingLength = Int.max
  /// How many tokens every evaluation had, in order, over all texts.
  let log = EvaluationLog()

  init(threadCount: Int = 1, next: @escaping @Sendable ([Int]) -> Int) throws {
    stream = try ComputeStream(name: "fake", threadCount: threadCount)
    self.next = next
  }

  /// A model that continues every prompt with `text`, then ends it. Tokens are bytes + 3.
  init(saying text: String, afterTokens promptTokenCount: Int) throws {
    let tokens = text.utf8.map { Int($0) + 3 } + [2]
    try self.init { seen in
      let index = seen.count - promptTokenCount
      return tokens.indices.contains(index) ? tokens[index] : 2
    }
  }

  func makeEvaluation(_ policy: CachePolicy) -> any TokenEvaluation { FakeEvaluation(model: self, policy: policy) }

  func loadEvaluation(from path: String) throws -> any TokenEvaluation {
    throw ModelError(.missingFile, file: path, "this model saves nothing")
  }
}

struct FakeFailure: Error {}

final class EvaluationLog: Sendable {
  private let counts = Mutex<[Int]>([])
  var tokenCounts: [Int] { counts.withLock { $0 } }
  func append(_ count: Int) { counts.withLock { $0.append(count) } }
}

private final class FakeEvaluation: TokenEvaluation {
  let model: FakeModel
  let policy: CachePolicy
  var tokens: [Int] = []

  init(model: FakeModel, policy: CachePolicy) {
    self.model = model
    self.policy = policy
  }

  var lengthLimit: Int? { policy == .contiguous ? model.contextLength : nil }

  func sharedLength(with text: [Int]) -> Int { zip(tokens, text).prefix { $0 == $1 }.count }

  func trim(to length: Int) -> Int {
    tokens = Array(tokens.prefix(length))
    return length
  }

  func save(to path: String) throws { throw ModelError(.missingFile, file: path, "this model saves nothing") }

  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor {
    self.tokens += tokens
    if self.tokens.count >= model.failingLength { throw FakeFailure() }
    model.log.append(tokens.count)
    guard wantsLogits else { return Tensor(zeros: [0, model.vocabularySize]) }
    var logits = [Float](repeating: 0, count: model.vocabularySize)
    logits[model.next(self.tokens)] = 10
    return Tensor(logits, shape: [1, model.vocabularySize])
  }
}

/// `<unk>`, `<s>`, `</s>`, then a token for each byte.
struct ByteTokenizer: Tokenizer {
  var vocabularySize = 259
  var beginningOfTextToken: Int? = 1
  let endOfTextToken: Int? = 2
  var addsBeginningOfText: Bool { beginningOfTextToken != nil }

  func encode(bytes: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool) throws(TokenizerError) -> [Int] {
    (addSpecialTokens ? [beginningOfTextToken].compactMap { $0 } : []) + bytes.map { Int($0) + 3 }
  }

  func piece(of token: Int) -> String? { (0..<vocabularySize).contains(token) ? "<\(token)>" : nil }
  func token(forPiece piece: String) -> Int? { nil }
  func isSpecial(_ token: Int) -> Bool { token < 3 }
  func makeStreamingDetokenizer(skipSpecialTokens: Bool) -> any StreamingDetokenizer { ByteDetokenizer() }
}

private struct ByteDetokenizer: StreamingDetokenizer {
  private var pending: [UInt8] = []

  mutating func append(_ token: Int) throws(TokenizerError) -> String {
    guard token >= 3 else { return "" }
    pending.append(UInt8(token - 3))
    guard let text = String(validating: pending, as: UTF8.self) else { return "" }
    pending = []
    return text
  }

  mutating func finish() -> String {
    defer { pending = [] }
    return String(decoding: pending, as: UTF8.self)
  }
}

internal import FoveaCore

extension EvaluationState {
  private static let format = "fovea-evaluation-state-1"
  /// Far more than any state: a wrong file shall not be read whole.
  private static let byteCountLimit = 1 << 30

  /// Writes the state to `path`, replacing what is there at once: whoever reads it finds the old state or the new one.
  public func write(to path: String) throws(EvaluationError) {
    let contents = contents
    var checksum = Checksum()
    checksum.add(contents)
    let text = "{\"format\":\"\(Self.format)\",\"checksum\":\"\(checksum.text)\",\(contents)}\n"
    try replaceFile(path, with: text)
  }

  /// The members of the object but the first two. What a state says has one spelling, so the checksum of the spelling
  /// tells whether what was read is what was written.
  private var contents: String {
    // Infinity and NaN are no JSON numbers. Swift's spelling of the others gives the same bits when it is read.
    func number(_ value: Double) -> String { value.isFinite ? value.description : "\"\(value.description)\"" }
    let setup = setup.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)):\(jsonQuoted($0.value))" }.joined(
      separator: ",")
    let rows = results.map { result in
      "[\(result.index),\(result.document),\(result.position),\(result.count),\(number(result.sum)),"
        + "\(number(result.sumOfSquares))]"
    }
    var members = ["\"setup\":{\(setup)}", "\"window_count\":\(windowCount)"]
    if let shard { members.append("\"shard\":[\(shard.number),\(shard.count)]") }
    if let textSize { members.append("\"text_size\":[\(textSize.byteCount),\(textSize.wordCount)]") }
    if let perTokenByteCount { members.append("\"per_token_byte_count\":\(perTokenByteCount)") }
    members.append("\"results\":[\(rows.joined(separator: ","))]")
    return members.joined(separator: ",")
  }

  /// Reads a state; nil where there is no such file.
  ///
  /// - Throws: ``EvaluationError`` for a file that cannot be read, is no state, or was damaged.
  public static func read(_ path: String) throws(EvaluationError) -> EvaluationState? {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: byteCountLimit)
    } catch {
      if error.isMissing { return nil }
      throw EvaluationError(.missingFile, file: path, error.reason)
    }
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw EvaluationError(
        .malformedFile, file: path, "is no evaluation state: \(error.message) (at byte \(error.byteOffset))")
    }
    guard case .object(let members) = value, members["format"] == .string(format) else {
      throw EvaluationError(.malformedFile, file: path, "is no evaluation state: it lacks \"format\":\"\(format)\"")
    }
    guard let state = EvaluationState(members) else {
      throw EvaluationError(.malformedFile, file: path, "is a damaged evaluation state")
    }
    var checksum = Checksum()
    checksum.add(state.contents)
    guard members["checksum"] == .string(checksum.text) else {
      throw EvaluationError(.malformedFile, file: path, "is a damaged evaluation state: its checksum differs")
    }
    return state
  }

  private init?(_ members: [String: JSONValue]) {
    guard case .object(let setupMembers)? = members["setup"], let windowCount = members["window_count"]?.integer,
      windowCount >= 0, case .array(let rows)? = members["results"]
    else { return nil }
    var setup: [String: String] = [:]
    for (name, value) in setupMembers {
      guard case .string(let text) = value else { return nil }
      setup[name] = text
    }
    var shard: Shard?
    if let value = members["shard"] {
      guard let pair = value.integerPair, let read = Shard(number: pair.0, count: pair.1) else { return nil }
      shard = read
    }
    var textSize: TextSize?
    if let value = members["text_size"] {
      guard let pair = value.integerPair else { return nil }
      textSize = TextSize(byteCount: pair.0, wordCount: pair.1)
    }
    self.init(setup: setup, windowCount: windowCount, shard: shard, textSize: textSize)
    perTokenByteCount = members["per_token_byte_count"]?.integer
    results.reserveCapacity(rows.count)
    for row in rows {
      guard let result = WindowResult(row), result.index >= 0, result.index < windowCount else { return nil }
      results.append(result)
    }
  }
}

extension WindowResult {
  fileprivate init?(_ row: JSONValue) {
    guard case .array(let values) = row, values.count == 6, let index = values[0].integer,
      let document = values[1].integer, let position = values[2].integer, let count = values[3].integer,
      let sum = values[4].anyDouble,
      let sumOfSquares = values[5].anyDouble, (0..<PerTokenFile.tokenCountLimit).contains(position),
      (0..<PerTokenFile.tokenCountLimit).contains(count)
    else { return nil }
    self.init(
      index: index, document: document, position: position, count: count, sum: sum, sumOfSquares: sumOfSquares)
  }
}

extension JSONValue {
  fileprivate var integerPair: (Int, Int)? {
    guard case .array(let values) = self, values.count == 2, let first = values[0].integer,
      let second = values[1].integer
    else { return nil }
    return (first, second)
  }

  /// A number, or infinity or NaN as a string.
  fileprivate var anyDouble: Double? {
    if case .string(let text) = self, ["inf", "-inf", "nan", "-nan"].contains(text) { return Double(text) }
    return double
  }
}

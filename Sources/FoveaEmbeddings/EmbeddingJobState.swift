internal import FoveaCore
internal import FoveaSafetensors

/// How far a long job of embedding has come: enough to go on where it was.
public struct EmbeddingJobState: Sendable, Equatable {
  /// What the vectors depend on, by name: model, texts, options. A state serves only the same setup.
  public var setup: [String: String]
  /// How many texts the job has.
  public var textCount: Int
  /// How many of them, from the first on, have their vectors in the output.
  public var doneCount = 0
  /// The bytes of the output that hold these.
  public var outputByteCount = 0

  private static let format = "fovea-embedding-state-1"
  /// Far more than any state: a wrong file shall not be read whole.
  private static let byteCountLimit = 1 << 20

  /// A job of which nothing is done.
  public init(setup: [String: String], textCount: Int) {
    self.setup = setup
    self.textCount = textCount
  }

  /// Writes the state to `path`, replacing what is there at once: whoever reads it finds the old state or the new one.
  public func write(to path: String) throws(EmbeddingError) {
    do throws(SafetensorsError) {
      try ReplacementFile.write(text, to: path)
    } catch {
      throw EmbeddingError(.unwritableFile, file: path, error.message)
    }
  }

  private var text: String {
    var checksum = Checksum()
    checksum.add(contents)
    return "{\"format\":\"\(Self.format)\",\"checksum\":\"\(checksum.text)\",\(contents)}\n"
  }

  private var contents: String {
    let members = setup.sorted { $0.key < $1.key }.map { "\(jsonString($0.key)):\(jsonString($0.value))" }
    return "\"setup\":{\(members.joined(separator: ","))},\"text_count\":\(textCount),\"done_count\":\(doneCount),"
      + "\"output_byte_count\":\(outputByteCount)"
  }

  /// Reads a state; nil where there is no such file.
  ///
  /// - Throws: ``EmbeddingError`` for a file that cannot be read, is no state, or was damaged.
  public static func read(_ path: String) throws(EmbeddingError) -> EmbeddingJobState? {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: byteCountLimit)
    } catch {
      if error.isMissing { return nil }
      throw EmbeddingError(.missingFile, file: path, error.reason)
    }
    guard case .object(let members)? = try? JSONValue(parsing: bytes), members["format"] == .string(format),
      case .object(let setupMembers)? = members["setup"], let textCount = members["text_count"]?.integer,
      let doneCount = members["done_count"]?.integer, let byteCount = members["output_byte_count"]?.integer
    else { throw EmbeddingError(.malformedFile, file: path, "is no state of an embedding job") }
    var setup: [String: String] = [:]
    for (name, value) in setupMembers {
      guard case .string(let text) = value else { continue }
      setup[name] = text
    }
    var state = EmbeddingJobState(setup: setup, textCount: textCount)
    state.doneCount = doneCount
    state.outputByteCount = byteCount
    guard Array(state.text.utf8) == bytes, (0...textCount).contains(doneCount), byteCount >= 0 else {
      throw EmbeddingError(.malformedFile, file: path, "is a damaged state of an embedding job")
    }
    return state
  }

  /// Makes sure that the state, read from `path`, is one of this job.
  ///
  /// - Throws: ``EmbeddingError`` of kind `foreignFile` that names what differs.
  public func check(_ setup: [String: String], textCount: Int, path: String) throws(EmbeddingError) {
    for name in Set(setup.keys).union(self.setup.keys).sorted() where setup[name] != self.setup[name] {
      throw EmbeddingError(
        .foreignFile, file: path,
        "is the state of another job: \(name) was \(printable(self.setup[name] ?? "not set", limit: 80)), now it is "
          + printable(setup[name] ?? "not set", limit: 80))
    }
    guard textCount == self.textCount else {
      throw EmbeddingError(
        .foreignFile, file: path,
        "is the state of another job: it has \(self.textCount) texts, now there are \(textCount)")
    }
  }
}

/// `text` as a JSON string.
package func jsonString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\0"..."\u{1F}": result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

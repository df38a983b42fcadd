import Fovea

/// Lines of standard input; at a terminal with a prompt, editing and history.
struct LineReader {
  /// Whether a person types.
  let isInteractive: Bool
  private let prompt: String
  private var history: [String] = []

  init(prompt: String) {
    self.prompt = prompt
    isInteractive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
  }

  /// The next line without its end, or nil at the end of the input.
  mutating func next() throws -> String? {
    guard isInteractive else { return readLine(strippingNewline: true) }
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return readLine(strippingNewline: true) }
    var raw = settings
    cfmakeraw(&raw)
    // Output is processed as usual, so that a line break returns the carriage.
    raw.c_oflag = settings.c_oflag
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)
    defer { tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) }
    var editor = LineEditor(prompt: prompt, history: history)
    let line = editor.run()
    StandardStream.error.writeIgnoringFailure("\n")
    if let line, !line.isEmpty, history.last != line { history.append(line) }
    return line
  }
}

/// One line that is being typed, in a terminal in raw mode.
private struct LineEditor {
  private let prompt: String
  private let history: [String]
  private var characters: [Character] = []
  private var cursor = 0
  /// Which line of the history is shown; the count of them for the new one.
  private var place: Int
  private var pending: [Character] = []

  init(prompt: String, history: [String]) {
    self.prompt = prompt
    self.history = history
    place = history.count
  }

  /// Nil where the input ends.
  mutating func run() -> String? {
    draw()
    while let byte = Self.readByte() {
      switch byte {
      case 0x0D, 0x0A: return String(characters)
      case 0x04:
        if characters.isEmpty { return nil }
        delete(at: cursor)
      case 0x03:
        if characters.isEmpty { StandardStream.error.writeIgnoringFailure("\n\rCtrl-D ends the conversation.\n") }
        (characters, cursor) = ([], 0)
      case 0x01: cursor = 0
      case 0x05: cursor = characters.count
      case 0x02: cursor = max(0, cursor - 1)
      case 0x06: cursor = min(characters.count, cursor + 1)
      case 0x0B: characters.removeSubrange(cursor...)
      case 0x15:
        characters.removeSubrange(..<cursor)
        cursor = 0
      case 0x17: deleteWord()
      case 0x0C: StandardStream.error.writeIgnoringFailure("\u{1B}[H\u{1B}[2J")
      case 0x10: showHistory(place - 1)
      case 0x0E: showHistory(place + 1)
      case 0x7F, 0x08:
        if cursor > 0 {
          cursor -= 1
          delete(at: cursor)
        }
      case 0x1B: readEscape()
      case 0x09: insert(" ")
      case 0x20...: readCharacter(byte)
      default: break
      }
      draw()
    }
    return nil
  }

  private static func readByte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = systemRead(&byte)
      if count == 1 { return byte }
      if count < 0, errno == EINTR { continue }
      return nil
    }
  }

  private mutating func insert(_ character: Character) {
    characters.insert(character, at: cursor)
    cursor += 1
  }

  private mutating func delete(at index: Int) {
    if characters.indices.contains(index) { characters.remove(at: index) }
  }

  private mutating func deleteWord() {
    var start = cursor
    while start > 0, characters[start - 1] == " " { start -= 1 }
    while start > 0, characters[start - 1] != " " { start -= 1 }
    characters.removeSubrange(start..<cursor)
    cursor = start
  }

  /// The rest of a character's UTF-8; combining marks join what is before the cursor.
  private mutating func readCharacter(_ first: UInt8) {
    var bytes = [first]
    let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    while bytes.count < length, let byte = Self.readByte() { bytes.append(byte) }
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    let before = String(characters[..<cursor]) + text
    characters = Array(before) + characters[cursor...]
    cursor = before.count
  }

  /// Arrows, Home, End and Delete.
  private mutating func readEscape() {
    guard let kind = Self.readByte(), kind == UInt8(ascii: "[") || kind == UInt8(ascii: "O") else { return }
    var parameter: UInt8 = 0
    while let byte = Self.readByte() {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): parameter = byte
      case UInt8(ascii: ";"): continue
      case UInt8(ascii: "A"): return showHistory(place - 1)
      case UInt8(ascii: "B"): return showHistory(place + 1)
      case UInt8(ascii: "C"): return cursor = min(characters.count, cursor + 1)
      case UInt8(ascii: "D"): return cursor = max(0, cursor - 1)
      case UInt8(ascii: "H"): return cursor = 0
      case UInt8(ascii: "F"): return cursor = characters.count
      case UInt8(ascii: "~"):
        switch parameter {
        case UInt8(ascii: "1"), UInt8(ascii: "7"): cursor = 0
        case UInt8(ascii: "4"), UInt8(ascii: "8"): cursor = characters.count
        case UInt8(ascii: "3"): delete(at: cursor)
        default: break
        }
        return
      default: return
      }
    }
  }

  private mutating func showHistory(_ index: Int) {
    guard (0...history.count).contains(index), index != place else { return }
    if place == history.count { pending = characters }
    place = index
    characters = index == history.count ? pending : Array(history[index])
    cursor = characters.count
  }

  /// The line as far as it fits, with the cursor in its place.
  private func draw() {
    var size = winsize()
    let columns = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 10 ? Int(size.ws_col) : 80
    let room = columns - prompt.count - 1
    var start = cursor
    var width = 0
    while start > 0, width + characters[start - 1].columnCount <= room {
      start -= 1
      width += characters[start].columnCount
    }
    var end = cursor
    while end < characters.count, width + characters[end].columnCount <= room {
      width += characters[end].columnCount
      end += 1
    }
    let shown = characters[start..<end]
    let back = shown[cursor...].columnCount
    var text = "\r\u{1B}[K" + prompt + String(shown)
    if back > 0 { text += "\u{1B}[\(back)D" }
    StandardStream.error.writeIgnoringFailure(text)
  }
}

/// The system's `read` of one byte.
private func systemRead(_ byte: inout UInt8) -> Int { read(STDIN_FILENO, &byte, 1) }

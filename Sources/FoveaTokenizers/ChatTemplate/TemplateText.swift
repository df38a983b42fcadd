extension Unicode.Scalar {
  /// Python's `str.isspace`.
  var isPythonSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
}

extension String {
  /// Without the given characters, or white space, at the ends.
  func stripped(of characters: String? = nil, left: Bool = true, right: Bool = true) -> String {
    let set = characters.map { Array($0.unicodeScalars) }
    func isStripped(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonSpace }
    var view = unicodeScalars[...]
    if left { view = view.drop(while: isStripped) }
    if right { while let last = view.last, isStripped(last) { view.removeLast() } }
    return String(view)
  }

  /// Python's `str.title`: what follows anything but a letter is in upper case, the other letters in lower case.
  var titleCased: String {
    var result = ""
    var isInWord = false
    for scalar in unicodeScalars {
      result += isInWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      isInWord = scalar.properties.isCased
    }
    return result
  }

  /// The first character in upper case, the rest in lower case.
  var capitalizedFirst: String {
    guard let first = unicodeScalars.first else { return self }
    return first.properties.titlecaseMapping + String(unicodeScalars.dropFirst()).lowercased()
  }
}

internal import FoveaCore

/// The perplexity along a text: what one run found, token by token or window by window.
public struct PerplexityCurve: Sendable {
  /// Neighbouring scored tokens.
  struct Part: Sendable, Equatable {
    /// The document that they are in, and the index in it of the first one.
    var document: Int
    var position: Int
    var count: Int
    /// The sum of their negative log-likelihoods, in nats.
    var sum: Double
  }

  /// What a logarithmic axis can show.
  private static let drawable = 1e-100...1e100

  /// What the legend calls it.
  public var name: String
  let parts: [Part]

  init(name: String, parts: [Part]) {
    self.name = name
    self.parts = parts.sorted { ($0.document, $0.position) < ($1.document, $1.position) }
  }

  /// The curve of an evaluation, a window at a time.
  public init(name: String, _ results: [WindowResult]) {
    self.init(
      name: name,
      parts: results.map {
        Part(document: $0.document, position: $0.position, count: $0.count, sum: $0.sum)
      })
  }

  /// Reads what another run left: its file of single tokens, or its state.
  ///
  /// - Throws: ``EvaluationError`` for a file that cannot be read or is neither.
  public init(name: String, file path: String) throws(EvaluationError) {
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(path, byteCountLimit: 1 << 32)
    } catch {
      throw EvaluationError(.missingFile, file: path, error.reason)
    }
    guard bytes.first == UInt8(ascii: "{") else {
      self.init(
        name: name,
        parts: try PerTokenFile.rows(bytes, file: path).map {
          Part(document: $0.document, position: $0.position, count: 1, sum: $0.loss)
        })
      return
    }
    guard let state = try EvaluationState.read(path) else {
      throw EvaluationError(.missingFile, file: path, "does not exist")
    }
    self.init(name: name, state.results)
  }

  /// exp(mean loss) of all tokens.
  var perplexity: Double {
    exponential(parts.reduce(0) { $0 + $1.sum } / Double(parts.reduce(0) { $0 + $1.count }))
  }

  /// The number of tokens from the beginning of the first document to the last scored token; documents follow each other.
  var length: Int { places.last.map { $0.place + $0.part.count } ?? 0 }

  /// The mean in every stretch of `width` tokens that has scored ones, as perplexity at its middle; nil where it is off
  /// any scale. The rest of a text joins the stretch before it, unless it is nearly as long.
  func points(width: Int) -> [(position: Double, perplexity: Double?)] {
    var bins: [(index: Int, count: Int, sum: Double)] = []
    for (place, part) in places where part.count > 0 {
      // A window counts where its middle is.
      let index = (place + part.count / 2) / width
      if bins.last?.index != index { bins.append((index, 0, 0)) }
      bins[bins.count - 1].count += part.count
      bins[bins.count - 1].sum += part.sum
    }
    if bins.count > 1, let last = bins.last, last.count * 4 < bins[bins.count - 2].count * 3 {
      bins.removeLast()
      bins[bins.count - 1].count += last.count
      bins[bins.count - 1].sum += last.sum
    }
    return bins.map { bin in
      let value = exponential(bin.sum / Double(bin.count))
      return ((Double(bin.index) + 0.5) * Double(width), Self.drawable.contains(value) ? value : nil)
    }
  }

  /// The longest way from one window to the next: what a stretch must have at least.
  var longestStep: Int {
    let places = places
    return zip(places, places.dropFirst()).map { $1.place - $0.place }.max() ?? parts.first?.count ?? 1
  }

  private var places: [(place: Int, part: Part)] {
    var result: [(place: Int, part: Part)] = []
    result.reserveCapacity(parts.count)
    var documentStart = 0
    for part in parts {
      if let last = result.last, last.part.document != part.document { documentStart = last.place + last.part.count }
      result.append((documentStart + part.position, part))
    }
    return result
  }
}

internal import FoveaCore
internal import FoveaSafetensors

/// Saved caches: safetensors files that only the model that wrote them reads.
///
/// `tokens` (I64) and for every layer `layers.N.keys` and `.values`, `[keyValueHeadCount, positions, headDimension]`, the
/// positions being the latest ones that the layer holds; where a bounded cache keeps the first ones apart, `.sink_keys` and
/// `.sink_values`. The metadata say what the cache is and carry a checksum of themselves and of all tensors.
extension DecoderModel {
  /// Writes what `cache` holds, so that ``loadCache(from:)`` gives a cache that goes on with the same bits.
  ///
  /// The file appears under its name when it is whole; an old one of that name is then replaced. Reads the model's files
  /// once, to tell which model it is.
  ///
  /// - Throws: `SafetensorsError` if the system refuses to write; errors about the model's files.
  public func saveCache(_ cache: KeyValueCache, to path: String) throws {
    let tensors = cache.tensors()
    var metadata = cache.metadata
    metadata[CacheKey.model] = try fingerprint()
    metadata[CacheKey.precision] = precision.rawValue
    metadata[CacheKey.checksum] = cacheChecksum(metadata, names: tensors.keys.sorted()) { tensors[$0] }
    try SafetensorsWriter.write(tensors, metadata: metadata, to: path, overwriting: true)
  }

  /// Reads a cache that ``saveCache(_:to:)`` wrote.
  ///
  /// - Throws: ``ModelError`` of kind `invalidCacheFile` for a file that is damaged, is no saved cache, or is that of another
  ///   model or precision; `SafetensorsError` for one that cannot be read.
  public func loadCache(from path: String) throws -> KeyValueCache {
    let file = try SafetensorsFile.open(path)
    let metadata = file.metadata
    func check(_ condition: Bool, _ message: @autoclosure () -> String) throws(ModelError) {
      guard condition else { throw ModelError(.invalidCacheFile, file: path, message()) }
    }
    try check(
      metadata[CacheKey.format] == CacheKey.currentFormat,
      "is no saved cache: its metadata lack '\(CacheKey.format)': '\(CacheKey.currentFormat)'")
    let checksum = try cacheChecksum(metadata, names: file.names.sorted()) { try file.tensor($0) }
    try check(metadata[CacheKey.checksum] == checksum, "is a damaged cache: its checksum differs")
    let fingerprint = try fingerprint()
    try check(
      metadata[CacheKey.model] == fingerprint,
      "is the cache of another model: its fingerprint is '\(printable(metadata[CacheKey.model] ?? ""))', expected "
        + "'\(fingerprint)'")
    try check(
      metadata[CacheKey.precision] == precision.rawValue,
      "is a cache of precision '\(printable(metadata[CacheKey.precision] ?? ""))', expected '\(precision.rawValue)'")
    guard let policy = CachePolicy(metadata) else {
      throw ModelError(.invalidCacheFile, file: path, "says of no policy of caches that there is")
    }
    do {
      let cache = try makeCache(policy)
      try cache.restore(file, vocabularySize: configuration.vocabularySize)
      return cache
    } catch let error as ModelError {
      throw ModelError(.invalidCacheFile, file: path, error.message)
    } catch let error as SafetensorsError {
      throw ModelError(.invalidCacheFile, file: path, "tensor '\(printable(error.tensor ?? ""))' \(error.message)")
    }
  }

  /// Covers every metadata entry but the checksum, and names and bytes of all tensors; shapes follow from the rest.
  private func cacheChecksum(
    _ metadata: [String: String], names: [String], tensor: (String) throws -> Tensor?
  ) rethrows -> String {
    var checksum = Checksum()
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where key != CacheKey.checksum {
      checksum.add("\(key)=\(value)")
    }
    for name in names {
      checksum.add(name)
      guard let tensor = try tensor(name)?.contiguous() else { continue }
      checksum.add(tensor.shape)
      // The storage holds `byteCount` bytes from the first element on, and lives as long as the tensor.
      checksum.add(UnsafeRawBufferPointer(start: tensor.baseAddress, count: tensor.byteCount))
      withExtendedLifetime(tensor) {}
    }
    return checksum.text
  }
}

/// The metadata of a saved cache.
enum CacheKey {
  static let format = "format"
  static let currentFormat = "fovea-cache-1"
  static let model = "model"
  static let precision = "precision"
  static let checksum = "checksum"
  static let policy = "policy"
  static let maxSize = "max_size"
  static let sinkTokens = "sink_tokens"
  static let length = "length"
  static let evaluatedLength = "evaluated_length"
  static let droppedChecksum = "dropped_checksum"
  static let usesLongFactors = "uses_long_factors"
}

extension CachePolicy {
  var metadata: [String: String] {
    var metadata = [CacheKey.policy: name]
    if let (maxSize, sinkTokens) = bound {
      metadata[CacheKey.maxSize] = String(maxSize)
      metadata[CacheKey.sinkTokens] = String(sinkTokens)
    }
    return metadata
  }

  fileprivate init?(_ metadata: [String: String]) {
    guard metadata[CacheKey.policy] != Self.contiguous.name else {
      self = .contiguous
      return
    }
    guard let maxSize = metadata[CacheKey.maxSize].flatMap({ Int($0) }),
      let sinkTokens = metadata[CacheKey.sinkTokens].flatMap({ Int($0) })
    else { return nil }
    self = .rotating(maxSize: maxSize, sinkTokens: sinkTokens)
    if metadata[CacheKey.policy] == name { return }
    self = .streaming(maxSize: maxSize, sinkTokens: sinkTokens)
    if metadata[CacheKey.policy] != name { return nil }
  }
}

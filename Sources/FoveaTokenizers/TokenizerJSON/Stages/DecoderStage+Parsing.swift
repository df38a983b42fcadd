internal import FoveaCore

extension DecoderStage {
  /// The rules of a `decoder`, in order.
  static func parse(_ reader: ComponentReader) throws(TokenizerError) -> [DecoderStage] {
    var stages: [DecoderStage] = []
    var isFused = false
    try append(reader, to: &stages, &isFused, depth: 0)
    if let index = stages.firstIndex(where: { if case .byteLevel = $0 { true } else { false } }),
      index + 1 < stages.count
    {
      throw reader.unsupported("other decoders after ByteLevel")
    }
    return stages
  }

  private static func append(
    _ reader: ComponentReader, to stages: inout [DecoderStage], _ isFused: inout Bool, depth: Int
  ) throws(TokenizerError) {
    let type = try reader.string("type")
    switch type {
    case "Sequence":
      try reader.expectOnly("decoders")
      guard depth < 8 else { throw reader.unsupported("sequences within sequences") }
      for component in try reader.components("decoders") {
        try append(component, to: &stages, &isFused, depth: depth + 1)
      }
    case "ByteLevel":
      try reader.expectOnly("add_prefix_space", "trim_offsets", "use_regex")
      stages.append(.byteLevel)
    case "Replace":
      try reader.expectOnly("pattern", "content")
      let pattern = try reader.pattern("pattern")
      if isFused {
        guard case .literal(let bytes) = pattern, bytes.count == [UInt8].characterByteCount(bytes[0]) else {
          throw reader.unsupported("Replace after Fuse of more than one character")
        }
      }
      stages.append(.replace(pattern, with: Array(try reader.string("content").utf8)))
    case "ByteFallback":
      try reader.expectOnly()
      if isFused { throw reader.unsupported("ByteFallback after Fuse") }
      stages.append(.byteFallback(UTF8Assembler()))
    case "Fuse":
      try reader.expectOnly()
      isFused = true
    case "Strip":
      try reader.expectOnly("content", "start", "stop")
      stages.append(
        .strip(
          Strip(
            content: Array(String(Character(try reader.scalar("content"))).utf8), start: try reader.count("start"),
            stop: try reader.count("stop"), isFused: isFused)))
    case "Metaspace":
      if isFused { throw reader.unsupported("Metaspace after Fuse") }
      try reader.expectOnly("replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
      let scheme = try PreTokenizer.PrependScheme(reader)
      stages.append(
        .metaspace(
          replacement: Array(String(Character(try reader.scalar("replacement"))).utf8), dropsFirst: scheme != .never,
          isFirst: true))
    case "WordPiece":
      if isFused { throw reader.unsupported("WordPiece after Fuse") }
      try reader.expectOnly("prefix", "cleanup")
      stages.append(
        .wordPiece(
          prefix: Array(try reader.string("prefix").utf8), cleansUp: try reader.bool("cleanup"), isFirst: true))
    case "BPEDecoder":
      if isFused { throw reader.unsupported("BPEDecoder after Fuse") }
      try reader.expectOnly("suffix")
      let suffix = Array(try reader.string("suffix").utf8)
      guard !suffix.isEmpty else { throw reader.unsupported("an empty suffix") }
      stages.append(.suffix(suffix, held: nil))
    default:
      throw reader.unsupported("the decoder \(String(reflecting: type)) is not known")
    }
  }
}

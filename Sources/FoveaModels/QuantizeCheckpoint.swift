public import FoveaCore
internal import FoveaSafetensors

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The sizes of a checkpoint's tensors before and after quantisation, in bytes.
public struct QuantizationResult: Sendable {
  /// As they were.
  public let byteCountBefore: Int
  /// As they are written.
  public let byteCountAfter: Int
}

/// Writes the model of `folder` with quantised matrices to the new folder `target`, in MLX's layout.
///
/// Matrices whose rows the groups divide are rounded, the embedding and the head among them, routers excepted; all else
/// is copied. The folder appears under its name only when it is whole.
///
/// - Parameter progress: gets the share done, from 0 to 1; what it throws stops the work, and nothing is left of it.
/// - Throws: ``SafetensorsError`` if `target` exists; ``ModelError`` if the model is not known or cannot be quantised.
public func quantizeCheckpoint(
  folder: String, to target: String, rule: QuantizationRule, stream: ComputeStream, progress: (Double) throws -> Void
) throws -> QuantizationResult {
  let files = FileManager.default
  var target = target
  while target.count > 1, target.hasSuffix("/") { target.removeLast() }
  guard !files.fileExists(atPath: target) else {
    throw SafetensorsError(.fileExists, file: target, "exists already")
  }
  let configuration = try ModelConfiguration.load(folder: folder)
  let checkpoint = try Checkpoint.open(folder: folder)
  // What cannot be loaded is not worth quantising.
  _ = try DecoderWeights(configuration: configuration, checkpoint: checkpoint)
  let quantizer = try CheckpointQuantizer(
    folder: folder, configuration: configuration, rule: rule, checkpoint: checkpoint)

  let temporary = target + ".\(String(UInt64.random(in: .min ... .max), radix: 36)).partial"
  do {
    try files.createDirectory(atPath: temporary, withIntermediateDirectories: false)
  } catch {
    throw ModelError(.missingFile, file: target, "the folder cannot be made: is there a folder to hold it?")
  }
  do {
    try quantizer.write(to: temporary, stream: stream, progress: progress)
    try writeConfiguration(quantizer.quantization, from: folder, to: temporary)
    for name in try files.contentsOfDirectory(atPath: folder).sorted() where isCopied(name) {
      var isFolder = false
      guard files.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder), !isFolder else { continue }
      // A link would point somewhere else from another folder.
      try writeWhole(try readFile("\(folder)/\(name)", byteCountLimit: 1 << 30), to: "\(temporary)/\(name)")
    }
    guard rename(temporary, target) == 0 else {
      throw ModelError(.missingFile, file: target, "cannot be written: \(systemErrorText(errno))")
    }
  } catch {
    try? files.removeItem(atPath: temporary)
    if let error = error as? FileReadingError { throw ModelError(.missingFile, file: folder, error.reason) }
    throw error
  }
  let sizes = quantizer.byteCounts
  return QuantizationResult(byteCountBefore: sizes.before, byteCountAfter: sizes.after)
}

/// Weights in other formats and what is written anew stay behind.
private func isCopied(_ name: String) -> Bool {
  let skipped = [".safetensors", ".safetensors.index.json", ".bin", ".gguf", ".pth", ".pt", ".h5", ".msgpack", ".onnx"]
  return name != ModelConfiguration.fileName && !name.hasPrefix(".") && !skipped.contains { name.hasSuffix($0) }
}

/// config.json as it was, with two members before all others: mlx-lm reads the first, the hub the second.
private func writeConfiguration(
  _ quantization: QuantizationConfiguration, from folder: String, to target: String
) throws {
  let bytes = try readFile(
    "\(folder)/\(ModelConfiguration.fileName)", byteCountLimit: ConfigurationReader.byteCountLimit)
  guard let brace = bytes.firstIndex(of: UInt8(ascii: "{")) else { return }
  func object(_ scheme: QuantizationScheme, _ rest: [String] = []) -> String {
    let own = [
      "\"group_size\": \(scheme.groupSize)", "\"bits\": \(scheme.bits)", "\"mode\": \"\(scheme.mode.rawValue)\"",
    ]
    return "{" + (own + rest).joined(separator: ", ") + "}"
  }
  let overrides = quantization.overrides.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)): \(object($0.value))" }
  let settings = object(quantization.scheme, overrides)
  let members = "\n  \"quantization\": \(settings),\n  \"quantization_config\": \(settings),"
  try writeWhole(
    Array(bytes[...brace]) + Array(members.utf8) + bytes[(brace + 1)...],
    to: "\(target)/\(ModelConfiguration.fileName)")
}

func writeWhole(_ text: String, to path: String) throws { try writeWhole(Array(text.utf8), to: path) }

private func writeWhole(_ bytes: [UInt8], to path: String) throws {
  var file = try ReplacementFile(path, overwriting: false)
  do {
    try bytes.withUnsafeBytes { try file.write($0) }
    try file.finish()
  } catch {
    file.discard()
    throw error
  }
}

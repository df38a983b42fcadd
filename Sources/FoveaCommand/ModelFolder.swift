import Fovea

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Finds the model to use where the command line names none.
enum ModelFolder {
  /// Where the bundled model lies in the package's folder.
  static let bundled = "Models/storyteller-15m"

  /// The names that Tools/fetch-model knows.
  static let fetchedNames = ["smollm2-135m-instruct", "gemma-3-270m", "all-minilm-l6-v2"]

  /// `FOVEA_MODEL`; else the bundled model in a folder above the executable; else in the package that was built.
  ///
  /// - Throws: `CommandError` of category `missingInput` that says what can be done.
  static func standard() throws -> String {
    if let folder = ProcessInfo.processInfo.environment["FOVEA_MODEL"], !folder.isEmpty { return folder }
    let executable = executablePath()
    let starts = [executable, #filePath]
    for start in starts {
      var parts = start.split(separator: "/").dropLast()
      while !parts.isEmpty {
        let folder = "/" + parts.joined(separator: "/") + "/" + bundled
        if FileManager.default.fileExists(atPath: folder + "/config.json") { return folder }
        parts = parts.dropLast()
      }
    }
    throw CommandError(
      .missingInput, "no model: give --model or set FOVEA_MODEL; no folder above \(executable) has \(bundled)")
  }

  /// The folder of a model that is given by name: `ORG/NAME` in the cache that Hugging Face's tools keep, or a name that
  /// Tools/fetch-model made a folder of.
  ///
  /// - Returns: the folder, or nil, and where it was looked for.
  static func named(_ name: String) -> (folder: String?, places: [String]) {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2, !parts.contains(where: { $0.isEmpty || $0.hasPrefix(".") || $0.utf8.contains(0) }) else {
      return (nil, [])
    }
    let variables = ProcessInfo.processInfo.environment
    func variable(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }
    let cache = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/") + "/.cache"
    guard parts.count == 2 else {
      let folder = (variable("FOVEA_CACHE") ?? cache + "/fovea") + "/models/" + name
      return (FileManager.default.fileExists(atPath: folder + "/config.json") ? folder : nil, [folder])
    }
    let hub =
      variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE")
      ?? (variable("HF_HOME") ?? cache + "/huggingface") + "/hub"
    let repository = "\(hub)/models--\(parts[0])--\(parts[1])"
    return (snapshot(of: repository), [repository])
  }

  /// What `refs/main` of a repository in the hub's cache names, else the only snapshot.
  private static func snapshot(of repository: String) -> String? {
    let snapshots = repository + "/snapshots/"
    var names: [String] = []
    if let data = FileManager.default.contents(atPath: repository + "/refs/main") {
      names = [String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }]
    } else if let all = try? FileManager.default.contentsOfDirectory(atPath: snapshots), all.count == 1 {
      names = all
    }
    return names.map { snapshots + $0 }.first { FileManager.default.fileExists(atPath: $0 + "/config.json") }
  }

  /// The executable's path without symbolic links, so that a link to it in `/usr/local/bin` finds the model too.
  private static func executablePath() -> String {
    #if os(Linux)
    let path = "/proc/self/exe"
    #else
    let path = CommandLine.arguments.first ?? ""
    #endif
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

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

public import ArgumentParser
public import Fovea

/// Which model a subcommand uses.
struct ModelOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The folder of the model in Hugging Face layout, ORG/NAME in the hub's local cache, or a name that "
        + "Tools/fetch-model knows (default: FOVEA_MODEL, else the bundled model).", valueName: "dir"))
  var model: String?

  /// The folder to load from.
  ///
  /// - Throws: `CommandError` of category `missingInput` for a folder that does not exist, or none at all.
  func resolvedFolder() throws -> String {
    try ModelOptions.checkedFolder(model ?? ModelFolder.standard())
  }

  /// `folder`, if there is such a one, or the folder of the model of that name.
  static func checkedFolder(_ folder: String) throws -> String {
    var status = stat()
    guard stat(folder, &status) == 0 else {
      let reason = String(cString: strerror(errno))
      let (found, places) = ModelFolder.named(folder)
      if let found { return found }
      let looked = places.isEmpty ? "" : "; there is no such model in \(places.joined(separator: " or ")) either"
      let fetched = ModelFolder.fetchedNames.contains(folder) ? "; Tools/fetch-model \(folder) fetches it" : ""
      throw CommandError(.missingInput, "\(folder): \(reason)\(looked)\(fetched)")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw CommandError(.missingInput, "\(folder): not a folder, expected the folder of a model")
    }
    return folder
  }
}

/// How a subcommand computes.
struct ComputeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How many threads compute (default: what the process may use).", valueName: "n"))
  var threads: Int?

  @Option(
    help: """
      The arithmetic: as the checkpoint is stored, float32 throughout, with weights rounded to bfloat16, or with the factors \
      of products rounded to 16-bit integers, which is nearly as exact as float32 and often the fastest with many tokens.
      """)
  var precision: Precision = .native

  func validate() throws {
    guard threads ?? 1 >= 1 else { throw ValidationError("--threads is \(threads ?? 0), expected at least 1") }
    guard threads ?? 1 <= 1024 else { throw ValidationError("--threads is \(threads ?? 0), expected at most 1024") }
  }
}

extension Precision: ExpressibleByArgument {}

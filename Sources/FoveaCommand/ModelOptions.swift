import ArgumentParser

/// Which model a subcommand uses.
struct ModelOptions: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("The folder of the model.", valueName: "dir"))
  var model: String

  /// The folder to load from.
  func resolvedFolder() throws -> String { model }
}

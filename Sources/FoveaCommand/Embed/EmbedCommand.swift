import ArgumentParser

/// `fovea embed`: vectors of texts, and what is near to them.
struct EmbedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed", abstract: "Turn texts into vectors, and search them.",
    discussion: """
      The model is a folder of sentence-transformers, or any checkpoint, whose vectors are then means of its hidden \
      states. Without a subcommand texts are embedded: 'fovea embed --model DIR "a text" "another"'.
      """,
    subcommands: [EmbedTextsCommand.self, EmbedSearchCommand.self], defaultSubcommand: EmbedTextsCommand.self)
}

import ArgumentParser

/// `fovea bench`: measures Fovea against what the machine can do at most.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure speed against the machine's own limits.",
    discussion: """
      Every result is checked before it is timed, and every limit is measured in the same run. Nothing else should \
      run meanwhile. Without a subcommand models are measured: 'fovea bench -p 512 -n 128'.
      """,
    subcommands: [
      BenchModelCommand.self, BenchAttentionCommand.self, BenchEmbedCommand.self, BenchTokenizerCommand.self,
      BenchThreadsCommand.self,
    ],
    defaultSubcommand: BenchModelCommand.self)
}

import ArgumentParser

/// `fovea bench`: measures parts of Fovea against what the machine can do at most.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure speed against the machine's own limits.",
    discussion: """
      Every result is checked before it is timed, and every limit is measured in the same run. Nothing else should \
      run meanwhile.
      """,
    subcommands: [BenchAttentionCommand.self])
}

import ArgumentParser
import Fovea

@main
struct FoveaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fovea", abstract: "Run language models on the CPU.",
    discussion: """
      Text goes to standard output, everything else to standard error. Exit codes: 0; 64 for a wrong command line; 65 \
      for bad data; 66 for missing input; 70 for a fault of ours; 130 when interrupted.
      """,
    subcommands: [
      GenerateCommand.self, ChatCommand.self, EmbedCommand.self, PerplexityCommand.self, ScoreCommand.self,
      TokenizeCommand.self, InspectCommand.self, QuantizeCommand.self, BenchCommand.self,
    ])

  /// Replaces the argument parser's `main`, whose errors take several lines and whose exit codes are not ours.
  static func main() async {
    StandardStream.ignoreBrokenPipes()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      exit(reporting: error)
    }
  }
}

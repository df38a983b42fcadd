import ArgumentParser
import Fovea

@main
struct FoveaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fovea", abstract: "Run language models on the CPU.", subcommands: [TokenizeCommand.self])
}

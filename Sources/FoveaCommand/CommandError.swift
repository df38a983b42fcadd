import ArgumentParser
import Fovea

/// A fault that a subcommand finds itself.
struct CommandError: FoveaError {
  let category: FaultCategory
  let description: String

  init(_ category: FaultCategory, _ description: String) {
    self.category = category
    self.description = description
  }
}

extension FaultCategory {
  /// The codes of `sysexits.h`: EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_SOFTWARE.
  var exitCode: Int32 {
    switch self {
    case .usage: 64
    case .badData: 65
    case .missingInput: 66
    case .internalFault: 70
    }
  }
}

extension FoveaCommand {
  /// Ends the process with one line on standard error, or with the help on standard output if that was asked for.
  static func exit(reporting error: any Error) -> Never {
    switch error {
    case is ClosedPipe:
      // The reader has what it wanted, as in `fovea generate … | head -1`.
      endProcess(0)
    case let code as ExitCode:
      endProcess(code.rawValue)
    case let fault as any FoveaError:
      fail(fault.description, fault.category.exitCode)
    default:
      let code = exitCode(for: error)
      if code.isSuccess {
        StandardStream.output.writeIgnoringFailure(fullMessage(for: error) + "\n")
        endProcess(0)
      }
      // The parser's own errors have EX_USAGE; whatever it does not know either is ours.
      fail(message(for: error), code == .validationFailure ? code.rawValue : FaultCategory.internalFault.exitCode)
    }
  }

  private static func fail(_ message: String, _ code: Int32) -> Never {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    StandardStream.error.writeIgnoringFailure("fovea: \(line)\n")
    endProcess(code)
  }
}

/// The system's `exit`, which the command's own hides.
private func endProcess(_ code: Int32) -> Never {
  exit(code)
}

internal import CFovea
internal import FoveaCore

/// Why a call of the C API fails.
struct CallFault: Error {
  let status: fovea_status
  let message: String

  init(_ status: Int, _ message: String) {
    self.status = fovea_status(status)
    self.message = message
  }

  static func invalid(_ message: String) -> CallFault { CallFault(FOVEA_INVALID_ARGUMENT, message) }
  static func unsupported(_ message: String) -> CallFault { CallFault(FOVEA_UNSUPPORTED, message) }
}

/// Runs the body of an exported function, and turns what it throws into a status and the thread's last error.
func runCall(_ body: () throws -> Void) -> fovea_status {
  let fault: CallFault
  do {
    try body()
    return fovea_status(FOVEA_OK)
  } catch let error as CallFault {
    fault = error
  } catch let error as InstructionSetError {
    fault = .unsupported(error.description)
  } catch let error as any FoveaError {
    switch error.category {
    case .usage: fault = .invalid(error.description)
    case .badData: fault = CallFault(FOVEA_BAD_DATA, error.description)
    case .missingInput: fault = CallFault(FOVEA_NOT_FOUND, error.description)
    case .internalFault: fault = CallFault(FOVEA_INTERNAL_ERROR, error.description)
    }
  } catch {
    fault = CallFault(FOVEA_INTERNAL_ERROR, "\(error)")
  }
  fovea_set_last_error(fault.message)
  return fault.status
}

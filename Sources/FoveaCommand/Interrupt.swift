import Synchronization

/// Ctrl-C as a request to stop after the current token.
enum Interrupt {
  /// The exit code of a program that SIGINT ended, as shells report it: 128 + 2.
  static let exitCode: Int32 = 130

  private static let requested = Atomic<Bool>(false)

  /// Whether Ctrl-C was pressed since ``catchOnce()`` or ``catchAll()``.
  static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// Catches every Ctrl-C from here on, where one stops an answer and not the program.
  static func catchAll() {
    requested.store(false, ordering: .relaxed)
    signal(SIGINT) { _ in Interrupt.requested.store(true, ordering: .relaxed) }
  }

  /// Catches the first Ctrl-C; a second ends the process, as it would without this.
  static func catchOnce() {
    // Touched here so that the handler never runs the static's initialiser: handlers may only do what is safe in them,
    // a store to an atomic and `signal` among it.
    requested.store(false, ordering: .relaxed)
    signal(SIGINT) { _ in
      Interrupt.requested.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
  }
}

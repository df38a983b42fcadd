internal import CFovea
internal import Synchronization

/// The kinds of handles, numbered from 1.
enum HandleKind: UInt, CaseIterable {
  case model = 1
  case tokenizer, detokenizer, session, embedder
}

/// What a handle stands for.
protocol HandleObject: AnyObject, Sendable {
  static var kind: HandleKind { get }
}

/// The objects that callers have handles of.
///
/// A handle is a number that looks like an address, which is never given twice and never followed: the kind in bits 57 to
/// 59, where no address of today's processors has a lone bit, and a count below. So whatever a caller passes is safe to
/// look up.
enum HandleTable {
  private struct State {
    var lastNumber: UInt = 0
    var objects: [UInt: any HandleObject] = [:]
  }

  private static let kindShift: UInt = 57
  private static let state = Mutex(State())

  /// Registers an object and gives its handle.
  static func insert<Object: HandleObject>(_ object: Object) -> OpaquePointer? {
    let bits = state.withLock { state in
      state.lastNumber += 1
      let bits = Object.kind.rawValue << kindShift | state.lastNumber
      state.objects[bits] = object
      return bits
    }
    return OpaquePointer(bitPattern: bits)
  }

  /// Writes the handle of what `make` gives to `target`, which is looked at first.
  static func insert<Object: HandleObject>(
    to target: UnsafeMutablePointer<OpaquePointer?>?, _ make: () throws -> Object
  ) throws {
    guard let target else { throw CallFault.invalid("the pointer for the new \(Object.kind) is null") }
    target.pointee = nil
    target.pointee = insert(try make())
  }

  /// The object of a handle, which lives at least as long as the caller holds it.
  static func object<Object: HandleObject>(
    _ handle: OpaquePointer?, as type: Object.Type = Object.self
  ) throws(CallFault) -> Object {
    let bits = UInt(bitPattern: handle)
    if let object = state.withLock({ $0.objects[bits] }) as? Object { return object }
    throw fault(handle, expected: Object.kind)
  }

  /// Ends a handle; null is none.
  static func remove<Object: HandleObject>(_ handle: OpaquePointer?, as type: Object.Type) throws(CallFault) {
    guard let handle else { return }
    let bits = UInt(bitPattern: handle)
    // The object goes after the lock: a model takes time to unmap, and ends threads.
    let removed = state.withLock { state in
      state.objects[bits] is Object ? state.objects.removeValue(forKey: bits) : nil
    }
    if removed == nil { throw fault(handle, expected: Object.kind) }
  }

  private static func fault(_ handle: OpaquePointer?, expected: HandleKind) -> CallFault {
    func fault(_ message: String) -> CallFault { CallFault(FOVEA_INVALID_HANDLE, message) }
    guard let handle else { return fault("the \(expected) is null") }
    let bits = UInt(bitPattern: handle)
    let number = bits & (1 << kindShift - 1)
    let wasGiven = number > 0 && number <= state.withLock { $0.lastNumber }
    guard wasGiven, let kind = HandleKind(rawValue: bits >> kindShift) else {
      return fault("the \(expected) 0x\(String(bits, radix: 16)) never was a handle")
    }
    return kind == expected
      ? fault("the \(expected) was freed already") : fault("a \(kind) was given where a \(expected) is expected")
  }
}

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// One thread of the operating system, outside of Swift's cooperative pool.
struct ThreadHandle: Sendable {
  #if os(Linux)
  private let thread: pthread_t
  #else
  // A thread id may be used from any thread; its being a pointer hides that.
  private nonisolated(unsafe) let thread: pthread_t
  #endif

  /// Starts `body` on a new thread; nil if the system refuses one.
  init?(_ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(ThreadStart(body: body))
    #if os(Linux)
    var handle = pthread_t()
    #else
    var handle: pthread_t?
    #endif
    let status = pthread_create(&handle, nil, threadMain, start.toOpaque())
    #if os(Linux)
    let created: pthread_t? = status == 0 ? handle : nil
    #else
    let created = status == 0 ? handle : nil
    #endif
    guard let created else {
      start.release()
      return nil
    }
    thread = created
  }

  /// Waits until the thread's body has returned.
  func join() {
    pthread_join(thread, nil)
  }

  /// A number that tells the calling thread from every other live one; never 0.
  static var currentIdentity: UInt {
    #if os(Linux)
    UInt(pthread_self())
    #else
    UInt(bitPattern: pthread_self())
    #endif
  }
}

private final class ThreadStart {
  let body: @Sendable () -> Void

  init(body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}

#if os(Linux)
private func threadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue().body()
  return nil
}
#else
private func threadMain(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
  Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue().body()
  return nil
}
#endif

/// A mutex with its condition, at a fixed address as pthreads ask for; hence the unsafe allocation.
final class SleepCondition: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Sleeps as long as `mustWait`; it is asked under the mutex, so a wake-up after its answer is not lost.
  func wait(while mustWait: () -> Bool) {
    pthread_mutex_lock(mutex)
    while mustWait() { pthread_cond_wait(condition, mutex) }
    pthread_mutex_unlock(mutex)
  }

  /// Wakes every sleeper to ask its question again.
  func wakeAll() {
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}

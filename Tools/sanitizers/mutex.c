// The contended path of Synchronization.Mutex, in code that the thread sanitizer sees.
//
// On Linux the standard library's own is compiled without the sanitizer, so a lock taken after waiting orders nothing
// in its eyes, and everything the mutex guards is reported as a race. Linked into a test executable, this definition
// takes the library's place. It never sets the "others wait" bit, so that the inlined unlock stays on its fast path.

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

// Synchronization._MutexHandle._lockSlow(_: UInt32); `mutex` is its one word: 0, or the identifier of the owner.
__attribute__((swiftcall)) void lock_slow(uint32_t thread_identifier, __attribute__((swift_context)) void *mutex)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void lock_slow(uint32_t thread_identifier, __attribute__((swift_context)) void *mutex) {
  _Atomic uint32_t *owner = mutex;
  for (;;) {
    uint32_t unlocked = 0;
    if (atomic_compare_exchange_weak_explicit(
            owner, &unlocked, thread_identifier, memory_order_acquire, memory_order_relaxed)) {
      return;
    }
    sched_yield();
  }
}

// Tells ThreadSanitizer what the libraries of the system do. They are not
// instrumented, so it does not see that an absl::Mutex orders anything and
// takes every access under one for a race. The linker sends the calls of our
// code to the functions below (cmake/tsan.cmake), which do what is asked and
// say what it orders. Linked under the tsan preset only.
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

using absl::BlockingCounter;
using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Notification;
using absl::Time;

extern "C" {

// Of the runtime of ThreadSanitizer.
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

// Interceptors inside these libraries see only half of what orders their work.
const char* __tsan_default_suppressions() {
  return "called_from_lib:librocksdb.so\n";
}

#define QLARANK_WRAP(result, symbol, ...) \
  result __real_##symbol(__VA_ARGS__);    \
  result __wrap_##symbol(__VA_ARGS__)

// An unlocking thread evaluates the conditions of those who wait, after what we
// call the release and before the real one. Those reads are no races.
#define QLARANK_UNLOCK(mutex, real_call)        \
  __tsan_release(mutex);                        \
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__); \
  real_call;                                    \
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__)

QLARANK_WRAP(void, _ZN4absl7debian35Mutex4LockEv, Mutex* mutex) {
  __real__ZN4absl7debian35Mutex4LockEv(mutex);
  __tsan_acquire(mutex);
}
QLARANK_WRAP(void, _ZN4absl7debian35Mutex10ReaderLockEv, Mutex* mutex) {
  __real__ZN4absl7debian35Mutex10ReaderLockEv(mutex);
  __tsan_acquire(mutex);
}
QLARANK_WRAP(bool, _ZN4absl7debian35Mutex7TryLockEv, Mutex* mutex) {
  const bool locked = __real__ZN4absl7debian35Mutex7TryLockEv(mutex);
  if (locked) __tsan_acquire(mutex);
  return locked;
}
QLARANK_WRAP(bool, _ZN4absl7debian35Mutex13ReaderTryLockEv, Mutex* mutex) {
  const bool locked = __real__ZN4absl7debian35Mutex13ReaderTryLockEv(mutex);
  if (locked) __tsan_acquire(mutex);
  return locked;
}
QLARANK_WRAP(void, _ZN4absl7debian35Mutex6UnlockEv, Mutex* mutex) {
  QLARANK_UNLOCK(mutex, __real__ZN4absl7debian35Mutex6UnlockEv(mutex));
}
QLARANK_WRAP(void, _ZN4absl7debian35Mutex12ReaderUnlockEv, Mutex* mutex) {
  QLARANK_UNLOCK(mutex, __real__ZN4absl7debian35Mutex12ReaderUnlockEv(mutex));
}

// Those that lock when a condition holds. The release publishes the condition,
// which another thread evaluates.
QLARANK_WRAP(void, _ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE,
             Mutex* mutex, const Condition& condition) {
  __tsan_release(mutex);
  __real__ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE(mutex, condition);
  __tsan_acquire(mutex);
}
QLARANK_WRAP(void, _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE, Mutex* mutex,
             const Condition& condition) {
  QLARANK_UNLOCK(mutex, __real__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(
                            mutex, condition));
  __tsan_acquire(mutex);
}

#define QLARANK_WRAP_TIMED(symbol, Limit)                                      \
  QLARANK_WRAP(bool, symbol, Mutex* mutex, const Condition& condition,         \
               Limit limit) {                                                  \
    QLARANK_UNLOCK(mutex,                                                      \
                   const bool met = __real_##symbol(mutex, condition, limit)); \
    __tsan_acquire(mutex);                                                     \
    return met;                                                                \
  }
QLARANK_WRAP_TIMED(
    _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE,
    Duration)
QLARANK_WRAP_TIMED(
    _ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE, Time)
QLARANK_WRAP_TIMED(
    _ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE,
    Duration)
QLARANK_WRAP_TIMED(
    _ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE,
    Time)

QLARANK_WRAP(void, _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE, CondVar* condvar,
             Mutex* mutex) {
  QLARANK_UNLOCK(
      mutex, __real__ZN4absl7debian37CondVar4WaitEPNS0_5MutexE(condvar, mutex));
  __tsan_acquire(mutex);
}

#define QLARANK_WRAP_TIMED_CONDVAR(symbol, Limit)                              \
  QLARANK_WRAP(bool, symbol, CondVar* condvar, Mutex* mutex, Limit limit) {    \
    QLARANK_UNLOCK(                                                            \
        mutex, const bool timed_out = __real_##symbol(condvar, mutex, limit)); \
    __tsan_acquire(mutex);                                                     \
    return timed_out;                                                          \
  }
QLARANK_WRAP_TIMED_CONDVAR(
    _ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE,
    Duration)
QLARANK_WRAP_TIMED_CONDVAR(
    _ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE, Time)

QLARANK_WRAP(void, _ZN4absl7debian312Notification6NotifyEv,
             Notification* notification) {
  __tsan_release(notification);
  __real__ZN4absl7debian312Notification6NotifyEv(notification);
}
QLARANK_WRAP(void, _ZNK4absl7debian312Notification19WaitForNotificationEv,
             Notification* notification) {
  __real__ZNK4absl7debian312Notification19WaitForNotificationEv(notification);
  __tsan_acquire(notification);
}
QLARANK_WRAP(
    bool,
    _ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE,
    Notification* notification, Duration limit) {
  const bool notified =
      __real__ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE(
          notification, limit);
  if (notified) __tsan_acquire(notification);
  return notified;
}
QLARANK_WRAP(bool, _ZN4absl7debian315BlockingCounter14DecrementCountEv,
             BlockingCounter* counter) {
  __tsan_release(counter);
  return __real__ZN4absl7debian315BlockingCounter14DecrementCountEv(counter);
}
QLARANK_WRAP(void, _ZN4absl7debian315BlockingCounter4WaitEv,
             BlockingCounter* counter) {
  __real__ZN4absl7debian315BlockingCounter4WaitEv(counter);
  __tsan_acquire(counter);
}

}  // extern "C"

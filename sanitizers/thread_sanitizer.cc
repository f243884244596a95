// What ThreadSanitizer has to be told, linked into every binary of the tsan
// preset.
//
// It sees synchronisation only in code that was compiled for it, and Debian's
// Abseil and gRPC were not. So it would call everything that an absl::Mutex
// guards a race. Therefore the mutex's functions are interposed here: each
// calls Abseil's own and tells ThreadSanitizer what it means. Shared libraries
// resolve their calls to these as well, so that CondVar, Notification and gRPC
// are covered where they use the mutex.
//
// What a Condition reads is not checked: Abseil evaluates it on whichever
// thread holds the mutex, out of our sight.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);

namespace {

using ::absl::BlockingCounter;
using ::absl::Condition;
using ::absl::CondVar;
using ::absl::Duration;
using ::absl::Mutex;
using ::absl::Notification;
using ::absl::Time;

// The function of this name that would have been called without us.
template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Where Notification::HasBeenNotified, which is inline, looks.
void* Flag(const Notification* notification) {
  return const_cast<char*>(reinterpret_cast<const char*>(notification)) +
         sizeof(Mutex);
}

class AcquireAtEnd {
 public:
  explicit AcquireAtEnd(void* object) : object_(object) {}
  ~AcquireAtEnd() { __tsan_acquire(object_); }

 private:
  void* const object_;
};

class IgnoreReads {
 public:
  IgnoreReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoreReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

}  // namespace

// What to interpose is given as its result, its name, its parameters and its
// arguments, both in parentheses.

// Calls a function that waits, and then acquires what OBJECT released.
#define QLARANK_WAITS(RESULT, NAME, PARAMETERS, ARGUMENTS, OBJECT) \
  extern "C" RESULT NAME PARAMETERS {                              \
    static auto* const real = Real<RESULT PARAMETERS>(#NAME);      \
    const AcquireAtEnd acquire(OBJECT);                            \
    const IgnoreReads ignore;                                      \
    return real ARGUMENTS;                                         \
  }

// Calls a function that locks the parameter `mutex`.
#define QLARANK_LOCKS(RESULT, NAME, PARAMETERS, ARGUMENTS) \
  QLARANK_WAITS(RESULT, NAME, PARAMETERS, ARGUMENTS, mutex)

// Calls a function that unlocks the parameter `mutex` while it waits.
#define QLARANK_RELOCKS(RESULT, NAME, PARAMETERS, ARGUMENTS)  \
  extern "C" RESULT NAME PARAMETERS {                         \
    static auto* const real = Real<RESULT PARAMETERS>(#NAME); \
    __tsan_release(mutex);                                    \
    const AcquireAtEnd acquire(mutex);                        \
    const IgnoreReads ignore;                                 \
    return real ARGUMENTS;                                    \
  }

#define QLARANK_UNLOCKS(NAME)                            \
  extern "C" void NAME(Mutex* mutex) {                   \
    static auto* const real = Real<void(Mutex*)>(#NAME); \
    __tsan_release(mutex);                               \
    const IgnoreReads ignore;                            \
    real(mutex);                                         \
  }

// Mutex
QLARANK_LOCKS(void, _ZN4absl7debian35Mutex4LockEv, (Mutex * mutex), (mutex))
QLARANK_LOCKS(void, _ZN4absl7debian35Mutex10ReaderLockEv, (Mutex * mutex),
              (mutex))
QLARANK_LOCKS(bool, _ZN4absl7debian35Mutex7TryLockEv, (Mutex * mutex), (mutex))
QLARANK_LOCKS(bool, _ZN4absl7debian35Mutex13ReaderTryLockEv, (Mutex * mutex),
              (mutex))
QLARANK_LOCKS(void, _ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE,
              (Mutex * mutex, const Condition& condition), (mutex, condition))
QLARANK_LOCKS(void, _ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE,
              (Mutex * mutex, const Condition& condition), (mutex, condition))
QLARANK_LOCKS(
    bool,
    _ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE,
    (Mutex * mutex, const Condition& condition, Duration timeout),
    (mutex, condition, timeout))
QLARANK_LOCKS(
    bool,
    _ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE,
    (Mutex * mutex, const Condition& condition, Time deadline),
    (mutex, condition, deadline))
QLARANK_UNLOCKS(_ZN4absl7debian35Mutex6UnlockEv)
QLARANK_UNLOCKS(_ZN4absl7debian35Mutex12ReaderUnlockEv)
QLARANK_RELOCKS(void, _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE,
                (Mutex * mutex, const Condition& condition), (mutex, condition))
QLARANK_RELOCKS(
    bool,
    _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE,
    (Mutex * mutex, const Condition& condition, Duration timeout),
    (mutex, condition, timeout))
QLARANK_RELOCKS(
    bool, _ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE,
    (Mutex * mutex, const Condition& condition, Time deadline),
    (mutex, condition, deadline))

// CondVar
QLARANK_RELOCKS(void, _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE,
                (CondVar * variable, Mutex* mutex), (variable, mutex))
QLARANK_RELOCKS(
    bool, _ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE,
    (CondVar * variable, Mutex* mutex, Duration timeout),
    (variable, mutex, timeout))
QLARANK_RELOCKS(
    bool, _ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE,
    (CondVar * variable, Mutex* mutex, Time deadline),
    (variable, mutex, deadline))

// Notification and BlockingCounter, whose quick path is an atomic of their own.
extern "C" void _ZN4absl7debian312Notification6NotifyEv(Notification* self) {
  static auto* const real =
      Real<void(Notification*)>("_ZN4absl7debian312Notification6NotifyEv");
  __tsan_release(Flag(self));
  real(self);
}

QLARANK_WAITS(void, _ZNK4absl7debian312Notification19WaitForNotificationEv,
              (const Notification* self), (self), Flag(self))
QLARANK_WAITS(
    bool,
    _ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE,
    (const Notification* self, Duration timeout), (self, timeout), Flag(self))
QLARANK_WAITS(
    bool,
    _ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE,
    (const Notification* self, Time deadline), (self, deadline), Flag(self))

extern "C" bool _ZN4absl7debian315BlockingCounter14DecrementCountEv(
    BlockingCounter* self) {
  static auto* const real = Real<bool(BlockingCounter*)>(
      "_ZN4absl7debian315BlockingCounter14DecrementCountEv");
  __tsan_release(self);
  return real(self);
}

QLARANK_WAITS(void, _ZN4absl7debian315BlockingCounter4WaitEv,
              (BlockingCounter * self), (self), self)

// gRPC hands objects from thread to thread through queues that ThreadSanitizer
// cannot see. So a report with gRPC in a stack says nothing. What handlers do
// behind gRPC is checked by the pipeline's tests, which run without it.
extern "C" const char* __tsan_default_suppressions() {
  // Interceptors inside RocksDB see only half of what orders its work.
  return "called_from_lib:librocksdb.so\n"
         "race:librocksdb.so\n"
         "race:libzstd.so\n"  // called by it, as is the next
         "race:liblz4.so\n"
         // Its threads copy paths and join the batches of a write group with
         // the string functions that all of us share, and with no more of
         // their stack than that.
         "race:std::__cxx11::basic_string<*>::_M_append\n"
         "race:std::__cxx11::basic_string<*>::_M_assign\n"
         "race:std::__cxx11::basic_string<*>::_M_replace_aux\n"
         // Called by gRPC, connection by connection.
         "race:libssl.so\n"
         "race:libcrypto.so\n"
         "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         "race:grpc::\n"
         "race:grpc_core::\n"
         "race:libupb.so\n"
         "race:libabsl_\n";
}

// Lets threads that answer go before those that compute, at no cost to anybody
// outside the process.
//
//   {
//     const ShortSlices short_slices;
//     server = builder.BuildAndStart();  // gRPC starts its threads
//   }
//
// Linux runs first whose time slice would end first. A thread that asks for
// short slices, and needs a processor for some microseconds at a time as
// gRPC's do, so has one as soon as it wakes up, instead of when a worker has
// used up its own slice, ten tiles later. How much of the processors it gets in
// all is the same for slices of any length (EEVDF; sched_setattr(2)): no
// priority and no policy is changed, and other processes get what they would.
//
// Threads inherit what the one that starts them asks for. Best effort: without
// effect before Linux 6.12.
#ifndef QLARANK_SERVER_SHORT_SLICES_H_
#define QLARANK_SERVER_SHORT_SLICES_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace qlarank {

// Of the calling thread, in nanoseconds; nullopt or 0 where Linux does not
// tell.
class TimeSlice {
 public:
  static std::optional<uint64_t> Get() {
    Attributes attributes;
    if (!Read(attributes)) return std::nullopt;
    return attributes.runtime;
  }

  // 0: the system's usual ones. Policy and niceness stay.
  static void Set(uint64_t ns) {
    Attributes attributes;
    if (!Read(attributes)) return;
    attributes.size = sizeof(attributes);
    attributes.runtime = ns;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
  }

 private:
  struct Attributes {  // sched_attr, which glibc does not have yet
    uint32_t size = 48;
    uint32_t policy = 0;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0;
    uint64_t deadline = 0;
    uint64_t period = 0;
  };
  static_assert(sizeof(Attributes) == 48);

  static bool Read(Attributes& attributes) {
    return syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) ==
           0;
  }
};

// As long as this lives, the calling thread and those that it starts have short
// slices; afterwards it has usual ones, and they keep theirs.
class ShortSlices {
 public:
  static constexpr uint64_t kNanoseconds = 100'000;  // the least there is

  ShortSlices() { TimeSlice::Set(kNanoseconds); }
  ~ShortSlices() { TimeSlice::Set(0); }
  ShortSlices(const ShortSlices&) = delete;
  ShortSlices& operator=(const ShortSlices&) = delete;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SHORT_SLICES_H_

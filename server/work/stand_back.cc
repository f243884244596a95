#include "server/work/stand_back.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

namespace qlarank {
namespace {

constexpr int kNice = 10;

// That this thread has had of a processor.
absl::Duration ThreadTime() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

// Both are of this thread alone, as Linux has it, and for good: to go back takes
// a privilege. Where they are not allowed the work is done all the same.
void BecomeIdle() {
  const sched_param none = {};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
}

void BecomeNicer() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

}  // namespace

StandBackThread::StandBackThread(Clock clock)
    : clock_(std::move(clock)), nicer_until_(-absl::InfiniteDuration()) {}

void StandBackThread::Run(absl::FunctionRef<void()> work) {
  const absl::Duration begin = clock_();
  if (begin < nicer_until_) {
    if (!nicer_.has_value()) nicer_.emplace(Policy::kNicer);
    nicer_->Run(work);
    return;
  }
  if (!idle_.has_value()) idle_.emplace(Policy::kIdle);
  const absl::Duration worked = idle_->Run(work);
  const absl::Duration end = clock_();
  const absl::Duration took = end - begin;
  if (took > kLong && took > worked * kPatience) nicer_until_ = end + kNicerFor;
}

StandBackThread::Thread::Thread(Policy policy)
    : thread_([this, policy] { Loop(policy); }) {}

StandBackThread::Thread::~Thread() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

absl::Duration StandBackThread::Thread::Run(absl::FunctionRef<void()> work) {
  absl::MutexLock lock(&mutex_);
  work_ = &work;
  const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return work_ == nullptr;
  };
  mutex_.Await(absl::Condition(&done));
  return took_;
}

void StandBackThread::Thread::Loop(Policy policy) {
  policy == Policy::kIdle ? BecomeIdle() : BecomeNicer();
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return work_ != nullptr || stopping_;
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (work_ == nullptr) return;
    const absl::FunctionRef<void()> work = *work_;
    mutex_.Unlock();
    const absl::Duration begin = ThreadTime();
    work();
    const absl::Duration took = ThreadTime() - begin;
    mutex_.Lock();
    took_ = took;
    work_ = nullptr;
  }
}

void TryToStandBack(StandBackThread& thread) {
  thread.Run([] {
    const absl::Duration end = ThreadTime() + absl::Milliseconds(1);
    while (ThreadTime() < end) {
    }
  });
}

}  // namespace qlarank

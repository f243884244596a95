#include "server/work/stand_back.h"

#include <sys/resource.h>
#include <unistd.h>

namespace qlarank {
namespace {

constexpr int kNice = 10;

}  // namespace

StandBackThread::StandBackThread() : thread_([this] { Loop(); }) {}

StandBackThread::~StandBackThread() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void StandBackThread::Run(absl::FunctionRef<void()> work) {
  absl::MutexLock lock(&mutex_);
  work_ = &work;
  const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return work_ == nullptr;
  };
  mutex_.Await(absl::Condition(&done));
}

void StandBackThread::Loop() {
  // Of this thread alone, as Linux has it; for good: to go back takes a
  // privilege. Where it is not allowed the work is done all the same.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return work_ != nullptr || stopping_;
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (work_ == nullptr) return;
    const absl::FunctionRef<void()> work = *work_;
    mutex_.Unlock();
    work();
    mutex_.Lock();
    work_ = nullptr;
  }
}

}  // namespace qlarank

#include "state_store/rocksdb_write_faults.h"

#include <utility>

#include "absl/strings/match.h"
#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

bool IsPassing(const rocksdb::Status& error) {
  // RocksDB keeps of an errno that it does not know only strerror's words:
  // EMFILE's, or ENFILE's, which go on with "in system".
  return error.IsNoSpace() ||
         (error.IsIOError() &&
          absl::StrContains(error.ToString(), "Too many open files"));
}

WriteFaults::WriteFaults(RocksDbOptions::WriteFaultSink sink)
    : sink_(std::move(sink)) {}

absl::Status WriteFaults::fault() const {
  absl::MutexLock lock(&mutex_);
  return fault_;
}

bool WriteFaults::AwaitPassingFault() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || (!fault_.ok() && !RestartNeeded(fault_));
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&due));
  return !stopped_;
}

bool WriteFaults::Sleep(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopped_), duration);
  return !stopped_;
}

void WriteFaults::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

void WriteFaults::OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                                    rocksdb::Status* error) {
  // Below it RocksDB goes on writing, without compaction at worst.
  if (error->severity() < rocksdb::Status::Severity::kHardError) return;
  const bool passing = IsPassing(*error);
  absl::Status fault = ToAbslStatus(*error, "writing to the store");
  if (!passing) MarkRestartNeeded(fault);
  if (passing && error->severity() == rocksdb::Status::Severity::kFatalError) {
    // As it does for a full disk: a fatal one cannot be recovered from.
    *error = rocksdb::Status(*error, rocksdb::Status::Severity::kHardError);
  }
  Set(fault);
}

void WriteFaults::OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*why*/,
                                       rocksdb::Status /*error*/,
                                       bool* auto_recovery) {
  *auto_recovery = false;
}

void WriteFaults::OnErrorRecoveryEnd(
    const rocksdb::BackgroundErrorRecoveryInfo& info) {
  if (info.new_bg_error.ok()) End();
}

void WriteFaults::Set(const absl::Status& fault) {
  // Throughout, so that the sink hears of them in order.
  absl::MutexLock lock(&mutex_);
  // One that is worse than the one before is news, too.
  if (fault.ok() == fault_.ok() &&
      (RestartNeeded(fault_) || !RestartNeeded(fault))) {
    return;
  }
  if (fault_.ok()) ++times_refused_;
  fault_ = fault;
  refused_ = !fault.ok();
  if (sink_ != nullptr) sink_(fault);
}

}  // namespace qlarank::rocksdb_internal

#include "state_store/rocksdb_write_faults.h"

#include <utility>

#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

WriteFaults::WriteFaults(RocksDbOptions::WriteFaultSink sink)
    : sink_(std::move(sink)) {}

absl::Status WriteFaults::fault() const {
  absl::MutexLock lock(&mutex_);
  return fault_;
}

void WriteFaults::OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                                    rocksdb::Status* error) {
  // Below it RocksDB goes on writing, without compaction at worst.
  if (error->severity() < rocksdb::Status::Severity::kHardError) return;
  absl::Status fault = ToAbslStatus(*error, "writing to the store");
  if (!error->IsNoSpace()) MarkRestartNeeded(fault);
  Set(fault);
}

void WriteFaults::OnErrorRecoveryEnd(
    const rocksdb::BackgroundErrorRecoveryInfo& info) {
  if (info.new_bg_error.ok()) Set(absl::OkStatus());
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

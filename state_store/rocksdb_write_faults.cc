#include "state_store/rocksdb_write_faults.h"

#include <utility>

#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

WriteFaults::WriteFaults(RocksDbOptions::WriteFaultSink sink)
    : sink_(std::move(sink)) {}

void WriteFaults::OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                                    rocksdb::Status* error) {
  // Below it RocksDB goes on writing, without compaction at worst.
  if (error->severity() < rocksdb::Status::Severity::kHardError) return;
  if (refused_.exchange(true)) return;
  ++times_refused_;
  if (sink_ != nullptr) sink_(ToAbslStatus(*error, "writing to the store"));
}

void WriteFaults::OnErrorRecoveryEnd(
    const rocksdb::BackgroundErrorRecoveryInfo& info) {
  if (!info.new_bg_error.ok() || !refused_.exchange(false)) return;
  if (sink_ != nullptr) sink_(absl::OkStatus());
}

}  // namespace qlarank::rocksdb_internal

// Notices when a fault of the disk makes RocksDB refuse writes, and when it
// takes them again: a full disk, or a process out of file descriptors, ends by
// itself (rocksdb_recovery.h), any other fault only with a restart. Private to
// the RocksDB implementation.
//
// Thread-safe: RocksDB's threads tell it, anyone may ask it.
#ifndef QLARANK_STATE_STORE_ROCKSDB_WRITE_FAULTS_H_
#define QLARANK_STATE_STORE_ROCKSDB_WRITE_FAULTS_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rocksdb/listener.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::rocksdb_internal {

// Whether a write that failed so left the disk as it was, so that the database
// may go on once the want is over: no room, or no file descriptor. What a failed
// sync or a failing device left is unknown.
bool IsPassing(const rocksdb::Status& error);

class WriteFaults final : public rocksdb::EventListener {
 public:
  explicit WriteFaults(RocksDbOptions::WriteFaultSink sink);

  // Whether every write fails now, and how often that has begun.
  bool writes_refused() const { return refused_; }
  uint64_t times_refused() const { return times_refused_; }
  // What the sink was told last; OK while writes are taken.
  absl::Status fault() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until writes are refused for a passing want, or until Stop, and then
  // returns false.
  bool AwaitPassingFault() ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks for as long, or until Stop: then false.
  bool Sleep(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mutex_);
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // Writes are taken again.
  void End() ABSL_LOCKS_EXCLUDED(mutex_) { Set(absl::OkStatus()); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                         rocksdb::Status* error) override;
  // RocksDB's own recovery is ours.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason,
                            rocksdb::Status error,
                            bool* auto_recovery) override;
  void OnErrorRecoveryEnd(
      const rocksdb::BackgroundErrorRecoveryInfo& info) override;

 private:
  // Tells everybody, unless they know.
  void Set(const absl::Status& fault) ABSL_LOCKS_EXCLUDED(mutex_);

  const RocksDbOptions::WriteFaultSink sink_;
  mutable absl::Mutex mutex_;
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> refused_ = false;
  std::atomic<uint64_t> times_refused_ = 0;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_WRITE_FAULTS_H_

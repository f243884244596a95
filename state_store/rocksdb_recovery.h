// Ends what a full disk, or a want of file descriptors, has begun: while such a
// fault has RocksDB refuse writes, it tries out every second whether there is
// room to write a small file, and if there is, has the database go on.
//
// RocksDB's own recovery is not used: it waits for more room than a small disk
// may ever have, looks every five seconds, and knows nothing of descriptors.
//
// Private to the RocksDB implementation. One thread, which sleeps until there is
// a fault.
#ifndef QLARANK_STATE_STORE_ROCKSDB_RECOVERY_H_
#define QLARANK_STATE_STORE_ROCKSDB_RECOVERY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "rocksdb/db.h"
#include "state_store/rocksdb_write_faults.h"

namespace qlarank::rocksdb_internal {

class Recovery {
 public:
  // `db` tells `faults`, and must outlive this. Probes write in the folder
  // `path`.
  Recovery(rocksdb::DB& db, std::shared_ptr<WriteFaults> faults,
           std::string path);
  ~Recovery();
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // How often the database was told to go on.
  uint64_t attempts() const { return attempts_; }

 private:
  void Loop();
  // Whether a small file can be written and synced.
  bool HasRoom() const;

  rocksdb::DB& db_;
  const std::shared_ptr<WriteFaults> faults_;
  const std::string probe_;
  std::atomic<uint64_t> attempts_ = 0;
  std::thread thread_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_RECOVERY_H_

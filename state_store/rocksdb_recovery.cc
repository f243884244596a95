#include "state_store/rocksdb_recovery.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace qlarank::rocksdb_internal {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
// Less is soon full again. What is in memory may need more: then the database
// says so, and it is tried again.
constexpr size_t kProbeBytes = size_t{1} << 20;

}  // namespace

Recovery::Recovery(rocksdb::DB& db, std::shared_ptr<WriteFaults> faults,
                   std::string path)
    : db_(db),
      faults_(std::move(faults)),
      // RocksDB removes no file of this name, and we always do.
      probe_(absl::StrCat(path, "/room.probe")),
      thread_([this] { Loop(); }) {}

Recovery::~Recovery() {
  faults_->Stop();
  thread_.join();
}

void Recovery::Loop() {
  while (faults_->AwaitPassingFault()) {
    if (!faults_->Sleep(kInterval)) return;
    if (!HasRoom()) continue;
    ++attempts_;
    // An error is told as the fault that goes on. OK without having been told
    // so: there was nothing to recover from any more.
    if (db_.Resume().ok()) faults_->End();
  }
}

bool Recovery::HasRoom() const {
  const int file = ::open(probe_.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const std::string block(64 << 10, 'x');
  size_t written = 0;
  while (written < kProbeBytes) {
    const ssize_t wrote = ::write(file, block.data(), block.size());
    if (wrote <= 0) break;
    written += static_cast<size_t>(wrote);
  }
  const bool room = written >= kProbeBytes && ::fdatasync(file) == 0;
  ::close(file);
  ::unlink(probe_.c_str());
  return room;
}

}  // namespace qlarank::rocksdb_internal

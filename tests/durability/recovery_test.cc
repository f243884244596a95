// A store whose disk is full, or whose process has no file descriptor left,
// takes writes again by itself, within seconds of there being room; and loses
// nothing. Needs no privilege: writes fail by our own hand.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/testing/temp_dir.h"

namespace {

std::atomic<bool> disk_full = false;

bool IsOfAStore(int file) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink(
      absl::StrCat("/proc/self/fd/", file), error);
  return !error && absl::StrContains(path.string(), "/store/");
}

}  // namespace

// Both take the place of libc's for every library of this process.
extern "C" ssize_t write(int file, const void* data, size_t size) {
  if (disk_full && IsOfAStore(file)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_write, file, data, size);
}
extern "C" int fallocate(int file, int mode, off_t offset, off_t size) {
  if (disk_full && IsOfAStore(file)) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fallocate, file, mode, offset, size));
}

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() {
    getrlimit(RLIMIT_NOFILE, &files_);
    options_.path = dir_.Path("store");
    options_.memtable_bytes = 1 << 20;
    options_.on_write_fault = [this](const absl::Status& fault) {
      (fault.ok() ? recovered_ : refused_) += 1;
    };
    Open();
  }
  ~RecoveryTest() override {
    disk_full = false;
    setrlimit(RLIMIT_NOFILE, &files_);
  }

  void Open() {
    store_.reset();
    auto store = OpenRocksDbStateStore(options_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // The next ten events of the user.
  absl::Status Append() {
    absl::Status status = Append("ann", acknowledged_);
    if (status.ok()) acknowledged_ += 10;
    return status;
  }
  absl::Status Append(const std::string& user_id, uint64_t before) {
    UserAppend append;
    append.user_id = user_id;
    append.head_after.incarnation = 1;
    append.head_after.last_sequence = before + 10;
    for (uint64_t n = before + 1; n <= before + 10; ++n) {
      LoggedEvent& event = append.events.emplace_back();
      event.item_id = n;
      event.action = std::string(1000, 'a');
    }
    return store_->AppendEvents({append});
  }

  absl::Status AppendUntilRefused() {
    absl::Status status;
    for (int i = 0; i < 10'000 && status.ok(); ++i) status = Append();
    return status;
  }

  double Figure(const std::string& name) const {
    return store_->Statistics().at(name);
  }

  // While `refusal` lasts, then after `mend`.
  void ExpectRecovery(const absl::Status& refusal, const std::string& reason,
                      const std::function<void()>& mend) {
    EXPECT_EQ(refusal.code(), absl::StatusCode::kUnavailable) << refusal;
    EXPECT_THAT(std::string(refusal.message()), HasSubstr(reason));
    EXPECT_EQ(Figure("writes_refused"), 1);
    EXPECT_FALSE(RestartNeeded(store_->WriteFault()));
    // It is looked for room, and there is none.
    absl::SleepFor(absl::Milliseconds(2500));
    EXPECT_FALSE(Append().ok());
    EXPECT_EQ(recovered_, 0);
    mend();
    const absl::Time mended = absl::Now();
    const absl::Time end = mended + absl::Seconds(30);
    // Who is refused tries again at once: a write that fails while the database
    // recovers must not spoil that.
    std::vector<std::thread> impatient;
    for (int i = 0; i < 4; ++i) {
      impatient.emplace_back([this, i, end] {
        const std::string user_id = absl::StrCat("impatient", i);
        while (!Append(user_id, 0).ok() && absl::Now() < end) {
        }
      });
    }
    absl::Status status;
    while (!(status = Append()).ok() && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    const absl::Duration took = absl::Now() - mended;
    for (std::thread& thread : impatient) thread.join();
    RecordProperty("resumed_after_ms", absl::ToInt64Milliseconds(took));
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_LT(took, absl::Seconds(4));
    EXPECT_EQ(Figure("writes_refused"), 0);
    EXPECT_GE(Figure("recovery_attempts_total"), 1);
    EXPECT_EQ(refused_, 1);
    EXPECT_EQ(recovered_, 1);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(Append().ok());
    Open();
    const auto events = store_->ReadEvents("ann", 1, SIZE_MAX);
    ASSERT_TRUE(events.ok()) << events.status();
    EXPECT_EQ(events->size(), acknowledged_);
    for (size_t i = 0; i < events->size(); ++i) {
      EXPECT_EQ((*events)[i].item_id, i + 1);
    }
  }

  rlimit files_;
  TempDir dir_;
  RocksDbOptions options_;
  std::atomic<int> refused_ = 0, recovered_ = 0;
  std::unique_ptr<StateStore> store_;
  uint64_t acknowledged_ = 0;
};

TEST_F(RecoveryTest, AFullDiskIsOverOnceThereIsRoom) {
  ASSERT_TRUE(Append().ok());
  disk_full = true;
  const absl::Status refusal = AppendUntilRefused();
  ExpectRecovery(refusal, "the disk is full; writing resumes by itself",
                 [] { disk_full = false; });
}

TEST_F(RecoveryTest, AWantOfDescriptorsIsOverOnceThereAreSome) {
  ASSERT_TRUE(Append().ok());
  rlimit none = files_;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  // Until it needs another file.
  const absl::Status refusal = AppendUntilRefused();
  ExpectRecovery(refusal,
                 "too many files are open; writing resumes by itself",
                 [this] { setrlimit(RLIMIT_NOFILE, &files_); });
}

}  // namespace
}  // namespace qlarank::testing

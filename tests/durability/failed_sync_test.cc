// After a sync of the log has failed nothing is acknowledged any more: what the
// operating system did with the pages is unknown, and a later sync that
// succeeds says nothing about them. Ranking goes on; a restart opens the store
// again.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/durability/expect_writes.h"
#include "tests/testing/temp_dir.h"

namespace {

std::atomic<bool> syncs_fail = false;

bool IsWal(int file) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink(
      "/proc/self/fd/" + std::to_string(file), error);
  return !error && path.extension() == ".log";
}

}  // namespace

// Takes the place of libc's for every library of this process.
extern "C" int fdatasync(int file) {
  if (syncs_fail && IsWal(file)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, file));
}

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class FailedSyncTest : public ::testing::Test {
 protected:
  FailedSyncTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
  }
  ~FailedSyncTest() override { syncs_fail = false; }

  TempDir dir_;
  ServerOptions options_ = TestOptions();
  AcknowledgedUsers users_{LoadGolden(GoldenModel()), 4};
};

TEST_F(FailedSyncTest, NothingIsAcknowledgedUntilARestart) {
  {
    TestServer server(options_);
    for (int user = 0; user < users_.size(); ++user) {
      ASSERT_TRUE(users_.Append(server, user, 50).ok());
    }
    syncs_fail = true;
    const absl::Status refusal = users_.Append(server, 0, 5);
    EXPECT_EQ(refusal.code(), absl::StatusCode::kUnavailable) << refusal;
    EXPECT_THAT(std::string(refusal.message()),
                HasSubstr("the event log could not be written"));
    // The next sync would succeed, and must not be tried.
    syncs_fail = false;
    for (int attempt = 0; attempt < 20; ++attempt) {
      for (int user = 0; user < users_.size(); ++user) {
        const absl::Status again = users_.Append(server, user, 5);
        ASSERT_TRUE(absl::IsUnavailable(again)) << again;
        if (user > 0) {
          EXPECT_THAT(std::string(again.message()),
                      HasSubstr("takes none before a restart"));
        }
      }
    }
    EXPECT_EQ(MetricValue(server, "qlarank_rocksdb_writes_refused"), 1);
    ExpectWritesRefused(server, "takes none before a restart");
    EXPECT_EQ(MetricValue(server, "qlarank_restart_needed"), 1);
    users_.ExpectRanked(server);
    EXPECT_FALSE(server.Shutdown().ok());
  }
  std::vector<std::string> states;
  {
    TestServer server(options_);
    ExpectWritesTaken(server);
    EXPECT_EQ(MetricValue(server, "qlarank_restart_needed"), 0);
    users_.ExpectRanked(server);
    // The same again: whether or not the first attempt is in the log.
    for (int user = 0; user < users_.size(); ++user) {
      const absl::Status status = users_.Append(server, user, 5);
      EXPECT_TRUE(status.ok()) << status;
    }
    states = users_.States(server);
  }
  users_.ExpectStored(options_.store.path, states);
}

// Appends of many clients, some of them under way in the very group: none that
// began after the failure is acknowledged, and all that were are there.
TEST_F(FailedSyncTest, NoGroupUnderWaySlipsThrough) {
  constexpr int kClients = 4;
  {
    TestServer server(options_);
    std::atomic<bool> failed = false;
    std::vector<std::thread> clients;
    for (int user = 0; user < kClients; ++user) {
      clients.emplace_back([&, user] {
        while (true) {
          const bool began_after = failed;
          const absl::Status status = users_.Append(server, user, 3);
          if (!status.ok()) {
            EXPECT_TRUE(absl::IsUnavailable(status)) << status;
            failed = true;
            if (began_after) return;
          } else {
            EXPECT_FALSE(began_after);
          }
        }
      });
    }
    absl::SleepFor(absl::Milliseconds(200));
    syncs_fail = true;
    while (!failed) absl::SleepFor(absl::Milliseconds(1));
    syncs_fail = false;
    for (std::thread& client : clients) client.join();
    server.Shutdown().IgnoreError();
  }
  TestServer server(options_);
  for (int user = 0; user < kClients; ++user) {
    EXPECT_TRUE(users_.Append(server, user, 3).ok());
  }
  const std::vector<std::string> states = users_.States(server);
  ASSERT_TRUE(server.Shutdown().ok());
  users_.ExpectStored(options_.store.path, states);
}

}  // namespace
}  // namespace qlarank::testing

// Random operations on a real store beside StoreOracle: appends that continue
// the log and appends that do not, erasures, snapshots, fingerprints that come
// and go, flushes, reopenings, and crashes (another store opened from what the
// files are at that moment). Whatever is asked, both answer the same.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/state_store/store_oracle.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

constexpr int kOperations = 400;
constexpr size_t kUsers = 12;

// The folder's files and their sizes; nullopt when one vanishes meanwhile.
std::optional<std::map<std::string, uintmax_t>> FilesIn(
    const std::string& folder) {
  std::map<std::string, uintmax_t> files;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder)) {
    files[file.path().filename()] = file.file_size(error);
    if (error) return std::nullopt;
  }
  return files;
}

// What a crash of the process would leave. Copied again when a compaction came
// between.
void CopyLiveStore(const std::string& from, const std::string& to) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    fs::remove_all(to);
    const auto before = FilesIn(from);
    std::error_code error;
    fs::copy(from, to, fs::copy_options::recursive, error);
    if (!error && before.has_value() && FilesIn(from) == before) return;
  }
  FAIL() << "the store's files never stand still";
}

class RocksDbModelTest : public testing::TestWithParam<uint32_t> {
 protected:
  RocksDbModelTest() : random_(GetParam()) {
    path_ = folder_ / "store-0";
    Open();
  }

  void Open() {
    auto store = OpenRocksDbStateStore(SmallOptions(path_));
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
  }

  uint64_t Below(uint64_t n) { return random_() % n; }
  // Ids that are prefixes of each other, with odd bytes.
  std::string AnyUser() {
    return std::string("u\0\xff", 3) + std::string(Below(kUsers), 'x');
  }
  std::string AnyFingerprint() { return Below(2) == 0 ? "f" : "f2"; }

  UserAppend AnyAppend(const std::string& user_id) {
    const UserHead head = oracle_.Head(user_id);
    uint64_t incarnation =
        head.incarnation == 0 ? 1 + Below(1'000'000) : head.incarnation;
    uint64_t first = head.last_sequence + 1;
    // Now and then one that does not continue the log.
    switch (Below(12)) {
      case 0:
        ++incarnation;
        break;
      case 1:
        first += Below(2) == 0 ? 1 : -std::min<uint64_t>(1 + Below(3), first);
        break;
    }
    const uint64_t num_events = Below(6);
    UserAppend append;
    append.user_id = user_id;
    for (uint64_t i = 0; i < num_events; ++i) {
      LoggedEvent event = MakeEvent(user_id, first + i);
      event.item_id = random_();
      if (Below(5) == 0) event.time_us -= Below(1'000'000'000);  // a late one
      event.source = Below(2) == 0 ? "a" : "b";
      append.events.push_back(event);
    }
    append.head_after = head;
    append.head_after.incarnation = incarnation;
    append.head_after.last_sequence = first + num_events - 1;
    append.head_after.last_event_time_us = static_cast<int64_t>(Below(1000));
    append.head_after.watermarks["a"] = Below(1000);
    if (Below(2) == 0) append.head_after.watermarks["b"] = Below(1000);
    return append;
  }

  void Append() {
    std::map<std::string, UserAppend> appends;  // one per user
    for (uint64_t i = 1 + Below(4); i > 0; --i) {
      const std::string user_id = AnyUser();
      appends.emplace(user_id, AnyAppend(user_id));
    }
    std::vector<UserAppend> batch;
    for (auto& [user_id, append] : appends) batch.push_back(append);
    const absl::Status status = store_->AppendEvents(batch);
    ASSERT_EQ(status.ok(), oracle_.Append(batch)) << status;
    if (!status.ok()) {
      ASSERT_TRUE(absl::IsFailedPrecondition(status) ||
                  absl::IsInvalidArgument(status))
          << status;
    }
  }

  void PutSnapshot() {
    const std::string user_id = AnyUser();
    const std::string fingerprint = AnyFingerprint();
    Snapshot snapshot = MakeSnapshot(user_id, Below(1000),
                                     oracle_.Head(user_id).incarnation);
    snapshot.state += std::string(Below(3000), 's');
    if (Below(6) == 0) ++snapshot.incarnation;  // of a life that has ended
    const absl::Status status =
        store_->PutSnapshot(fingerprint, user_id, snapshot);
    ASSERT_EQ(status.ok(),
              oracle_.PutSnapshot(fingerprint, user_id, snapshot))
        << status;
  }

  void Operate() {
    const uint64_t choice = Below(100);
    if (choice < 45) {
      Append();
    } else if (choice < 75) {
      PutSnapshot();
    } else if (choice < 83) {
      const std::string user_id = AnyUser();
      ASSERT_THAT(store_->DeleteUser(user_id),
                  IsOkAndHolds(oracle_.Delete(user_id)));
    } else if (choice < 88) {
      const std::string fingerprint = AnyFingerprint();
      ASSERT_THAT(store_->OpenFingerprint(fingerprint), IsOk());
      oracle_.OpenFingerprint(fingerprint);
    } else if (choice < 89) {
      const std::string fingerprint = AnyFingerprint();
      ASSERT_THAT(store_->DropFingerprint(fingerprint), IsOk());
      oracle_.DropFingerprint(fingerprint);
    } else if (choice < 93) {
      ASSERT_THAT(store_->Flush(), IsOk());
      oracle_.Flush();
    } else if (choice < 97) {
      store_ = nullptr;
      Open();
      oracle_.Flush();  // closing makes all durable
    } else {
      Crash();
    }
  }

  void Crash() {
    const std::string next = folder_ / ("store-" + std::to_string(++crashes_));
    CopyLiveStore(path_, next);
    store_ = nullptr;
    fs::remove_all(path_);
    path_ = next;
    Open();
    for (const std::string& fingerprint : oracle_.Fingerprints()) {
      for (const auto& [user_id, head] : oracle_.Heads()) {
        const auto found = store_->GetSnapshot(fingerprint, user_id);
        ASSERT_THAT(found, IsOk());
        ASSERT_TRUE(oracle_.Recovers(fingerprint, user_id, *found))
            << "a crash left a snapshot of sequence "
            << (found->has_value() ? (*found)->folded_sequence : 0);
      }
    }
  }

  void Compare(const std::string& user_id) {
    ASSERT_THAT(store_->GetHead(user_id),
                IsOkAndHolds(oracle_.Head(user_id)));
    const uint64_t from = 1 + Below(8);
    const size_t limit = Below(20);
    ASSERT_THAT(store_->ReadEvents(user_id, from, limit),
                IsOkAndHolds(oracle_.Events(user_id, from, limit)));
    for (const std::string& fingerprint : oracle_.Fingerprints()) {
      ASSERT_THAT(store_->GetSnapshot(fingerprint, user_id),
                  IsOkAndHolds(oracle_.SnapshotOf(fingerprint, user_id)));
    }
  }

  void CompareAll() {
    std::map<std::string, UserHead> heads;
    ASSERT_THAT(store_->ForEachUser([&](auto user_id, const auto& head) {
      heads[std::string(user_id)] = head;
      return true;
    }),
                IsOk());
    ASSERT_EQ(heads, oracle_.Heads());
    auto fingerprints = *store_->ListFingerprints();
    std::sort(fingerprints.begin(), fingerprints.end());
    ASSERT_EQ(fingerprints, oracle_.Fingerprints());
    for (const auto& [user_id, head] : heads) {
      ASSERT_NO_FATAL_FAILURE(Compare(user_id));
      ASSERT_THAT(store_->ReadEvents(user_id, 1, SIZE_MAX),
                  IsOkAndHolds(oracle_.Events(user_id, 1, SIZE_MAX)));
    }
  }

  std::mt19937_64 random_;
  TempFolder folder_;
  std::string path_;
  int crashes_ = 0;
  StoreOracle oracle_;
  std::unique_ptr<StateStore> store_;
};

TEST_P(RocksDbModelTest, AnswersAsTheOracleDoes) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  for (int i = 0; i < kOperations; ++i) {
    SCOPED_TRACE("operation " + std::to_string(i));
    ASSERT_NO_FATAL_FAILURE(Operate());
    ASSERT_NO_FATAL_FAILURE(Compare(AnyUser()));
    if (i % 20 == 19) {
      ASSERT_NO_FATAL_FAILURE(CompareAll());
    }
  }
  ASSERT_NO_FATAL_FAILURE(CompareAll());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RocksDbModelTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace qlarank

// What the tests of the store share: a folder of their own, records to write
// and matchers of statuses.
#ifndef QLARANK_TESTS_STATE_STORE_STORE_TESTING_H_
#define QLARANK_TESTS_STATE_STORE_STORE_TESTING_H_

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/state_store.h"

namespace qlarank {

// A new folder, removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "qlarank-store-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

inline RocksDbOptions SmallOptions(const std::string& path) {
  RocksDbOptions options;
  options.path = path;
  options.block_cache_bytes = 8 << 20;
  options.memtable_bytes = 16 << 20;
  return options;
}

// An event that is different for every user and sequence.
inline LoggedEvent MakeEvent(absl::string_view user_id, uint64_t sequence) {
  LoggedEvent event;
  event.item_id = sequence * 0x9E3779B97F4A7C15u + user_id.size();
  event.action = sequence % 3 == 0 ? "purchase" : "view";
  event.time_us = 1'600'000'000'000'000 + static_cast<int64_t>(sequence);
  event.source = "test";
  event.source_sequence = sequence;
  event.features = {static_cast<float>(sequence), -0.5f};
  return event;
}

// Events `first` to `last` of a user, and their head after them.
inline UserAppend MakeAppend(absl::string_view user_id, uint64_t first,
                             uint64_t last, uint64_t incarnation = 7) {
  UserAppend append;
  append.user_id = std::string(user_id);
  for (uint64_t i = first; i <= last; ++i) {
    append.events.push_back(MakeEvent(user_id, i));
  }
  append.head_after.incarnation = incarnation;
  append.head_after.last_sequence = last;
  append.head_after.last_event_time_us =
      1'600'000'000'000'000 + static_cast<int64_t>(last);
  append.head_after.watermarks = {{"test", last}};
  return append;
}

inline Snapshot MakeSnapshot(absl::string_view user_id, uint64_t sequence,
                             uint64_t incarnation = 7) {
  Snapshot snapshot;
  snapshot.incarnation = incarnation;
  snapshot.folded_sequence = sequence;
  snapshot.state = absl::StrCat("state of ", user_id, " at ", sequence);
  return snapshot;
}

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "") {
  *result_listener << StatusOf(arg);
  return StatusOf(arg).ok();
}

// A status of this code whose message contains `part`.
MATCHER_P2(IsStatus, code, part, "") {
  *result_listener << StatusOf(arg);
  return StatusOf(arg).code() == code &&
         std::string(StatusOf(arg).message()).find(part) != std::string::npos;
}

MATCHER_P(IsOkAndHolds, value, "") {
  *result_listener << StatusOf(arg);
  return arg.ok() &&
         testing::ExplainMatchResult(testing::Eq(value), *arg, result_listener);
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_STORE_TESTING_H_

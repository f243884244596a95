// Users whose events come from one source, and how many of each a server
// acknowledged: what must be found again, once and bit for bit.
#ifndef QLARANK_TESTS_DURABILITY_ACKNOWLEDGED_USERS_H_
#define QLARANK_TESTS_DURABILITY_ACKNOWLEDGED_USERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "model/engine.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/integration/test_server.h"
#include "tests/server/http_client.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

class AcknowledgedUsers {
 public:
  AcknowledgedUsers(std::shared_ptr<const Bundle> bundle, int num_users)
      : bundle_(std::move(bundle)), acknowledged_(num_users, 0) {}

  int size() const { return static_cast<int>(acknowledged_.size()); }
  std::string Name(int user) const { return absl::StrCat("user", user); }
  uint64_t acknowledged(int user) const { return acknowledged_[user]; }

  // Sends the next `num_events` of the user. The same ones again after an
  // error.
  absl::Status Append(TestServer& server, int user, uint64_t num_events) {
    const uint64_t first = acknowledged_[user] + 1;
    const uint64_t last = acknowledged_[user] + num_events;
    const auto response =
        server.Append(MakeAppend(*bundle_, Name(user), first, last));
    if (!response.ok()) return response.status();
    EXPECT_EQ(response->applied() + response->duplicates(), num_events);
    acknowledged_[user] = last;
    return absl::OkStatus();
  }

  // Every user is ranked from all that was acknowledged.
  void ExpectRanked(TestServer& server) const {
    for (int user = 0; user < size(); ++user) {
      v1::RankRequest request =
          MakeRank(*bundle_, Name(user), CatalogueItems(*bundle_, 20));
      request.set_min_event_count(acknowledged_[user]);
      const auto ranked = server.Rank(request);
      ASSERT_TRUE(ranked.ok()) << ranked.status();
      EXPECT_GT(ranked->scores_size(), 0);
    }
  }

  // No server runs: each user's log is what was acknowledged, event by event,
  // and `states`, where given, are folds of it.
  void ExpectStored(const std::string& path,
                    const std::vector<std::string>& states = {}) const {
    RocksDbOptions options;
    options.path = path;
    const auto store = OpenRocksDbStateStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto engine = Engine::Create(bundle_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    for (int user = 0; user < size(); ++user) {
      const auto events = (*store)->ReadEvents(Name(user), 1, SIZE_MAX);
      ASSERT_TRUE(events.ok()) << events.status();
      ASSERT_EQ(events->size(), acknowledged_[user]) << Name(user);
      for (uint64_t n = 1; n <= events->size(); ++n) {
        EXPECT_EQ((*events)[n - 1].source_sequence, n);
        EXPECT_EQ((*events)[n - 1].item_id,
                  MakeEvent(*bundle_, Name(user), n).item_id());
      }
      if (states.empty()) continue;
      const auto fold = FreshFold(**engine, **store, Name(user));
      ASSERT_TRUE(fold.ok()) << fold.status();
      EXPECT_TRUE(*fold == states[user]) << Name(user);
    }
  }

  // The states that the server has of them, caught up with the log.
  std::vector<std::string> States(TestServer& server) const {
    std::vector<std::string> states;
    for (int user = 0; user < size(); ++user) {
      const auto state = server.GetState(Name(user), acknowledged_[user]);
      EXPECT_TRUE(state.ok()) << state.status();
      states.push_back(state.ok() ? state->serialized_state() : "");
    }
    return states;
  }

 private:
  const std::shared_ptr<const Bundle> bundle_;
  std::vector<uint64_t> acknowledged_;
};

// The value of a metric, labels included in its name, in the server's own
// report; -1 if it is not there.
inline double MetricValue(TestServer& server, const std::string& name) {
  const std::string report = HttpGet(server.http_port(), "/metrics").body;
  for (absl::string_view line : absl::StrSplit(report, '\n')) {
    double value = 0;
    if (absl::ConsumePrefix(&line, name + " ") &&
        absl::SimpleAtod(line, &value)) {
      return value;
    }
  }
  return -1;
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_DURABILITY_ACKNOWLEDGED_USERS_H_

#include "server/upkeep/event_export.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/keys.h"
#include "state_store/memory_state_store.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/state_store/damage.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kFirstUs = 1'700'000'000'000'000;

// The n-th event of a user, a second after the one before.
LoggedEvent EventOf(const std::string& user, uint64_t n, uint32_t schema = 1) {
  LoggedEvent event;
  event.item_id = n * 0x9E3779B97F4A7C15u + user.size();
  event.action = n % 3 == 0 ? "purchase" : "view";
  event.time_us = kFirstUs + static_cast<int64_t>(n) * 1'000'000 + 7;
  event.features = {static_cast<float>(n) / 7};
  event.schema = schema;
  return event;
}

void Append(StateStore& store, const std::string& user, uint64_t first,
            uint64_t last, uint32_t schema = 1, uint64_t incarnation = 7) {
  UserAppend append;
  append.user_id = user;
  append.head_after.incarnation = incarnation;
  append.head_after.last_sequence = last;
  append.head_after.last_event_time_us = EventOf(user, last).time_us;
  for (uint64_t n = first; n <= last; ++n) {
    append.events.push_back(EventOf(user, n, schema));
  }
  const absl::Status appended = store.AppendEvents({append});
  ASSERT_TRUE(appended.ok()) << appended;
}

// What some messages hold.
struct Exported {
  std::vector<std::string> event_features;
  // By user and sequence. A second one of the same fails the test.
  std::map<std::string, std::map<uint64_t, v1::Event>> events;
  std::vector<std::string> damaged;
  v1::ExportPosition position;
  int messages = 0;

  void Take(const v1::ExportEventsResponse& message) {
    if (message.event_features_size() > 0) {
      event_features.assign(message.event_features().begin(),
                            message.event_features().end());
    }
    for (const v1::ExportedUser& user : message.users()) {
      for (const v1::ExportedEvent& event : user.events()) {
        const bool added = events[user.user_id()]
                               .emplace(event.sequence(), event.event())
                               .second;
        EXPECT_TRUE(added) << user.user_id() << " " << event.sequence();
      }
    }
    for (const v1::DamagedLog& log : message.damaged_logs()) {
      damaged.push_back(log.user_id());
    }
    position = message.position();
    ++messages;
  }

  std::map<std::string, size_t> Counts() const {
    std::map<std::string, size_t> counts;
    for (const auto& [user, by_sequence] : events) {
      counts[user] = by_sequence.size();
    }
    return counts;
  }
};

class EventExportTest : public ::testing::Test {
 protected:
  EventExportTest() {
    EXPECT_EQ(*store_->PutSchema({"price"}), 1u);
    for (int i = 0; i < 9; ++i) {
      const std::string user = absl::StrCat("user", i);
      counts_[user] = 1 + 40 * i;
      Append(*store_, user, 1, counts_[user]);
    }
  }

  std::unique_ptr<EventExport> Create(
      const v1::ExportEventsRequest& request = {}) {
    auto created = EventExport::Create(*store_, metrics_.state, request);
    EXPECT_TRUE(created.ok()) << created.status();
    return *std::move(created);
  }

  // At most so many messages.
  Exported Run(const v1::ExportEventsRequest& request = {},
               int messages = 1'000'000) {
    const auto running = Create(request);
    Exported exported;
    v1::ExportEventsResponse message;
    double fraction = 0;
    while (exported.messages < messages) {
      const auto more = running->Next(message);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!more.ok()) break;
      EXPECT_GE(message.fraction(), fraction);
      fraction = message.fraction();
      exported.Take(message);
      if (!*more) {
        EXPECT_EQ(fraction, 1);
        break;
      }
    }
    return exported;
  }

  std::string Refusal(const v1::ExportEventsRequest& request) {
    const auto refused =
        EventExport::Create(*store_, metrics_.state, request);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
    return std::string(refused.status().message());
  }

  Metrics metrics_;
  std::unique_ptr<StateStore> store_ = NewMemoryStateStore();
  std::map<std::string, size_t> counts_;
};

TEST_F(EventExportTest, SendsEveryEventAsItWasAppended) {
  const Exported exported = Run();
  EXPECT_EQ(exported.Counts(), counts_);
  EXPECT_THAT(exported.event_features, ElementsAre("price"));
  for (const auto& [user, events] : exported.events) {
    uint64_t sequence = 0;
    for (const auto& [found, event] : events) {
      EXPECT_EQ(found, ++sequence);
      const LoggedEvent logged = EventOf(user, sequence);
      EXPECT_EQ(event.item_id(), logged.item_id);
      EXPECT_EQ(event.item_key(), "");
      EXPECT_EQ(event.action(), logged.action);
      EXPECT_EQ(event.time().seconds(), logged.time_us / 1'000'000);
      EXPECT_EQ(event.time().nanos(), 7'000);
      EXPECT_THAT(event.features(), ElementsAre(logged.features[0]));
    }
  }
}

TEST_F(EventExportTest, EndsAnEmptyExportWithOneMessage) {
  store_ = NewMemoryStateStore();
  const Exported exported = Run();
  EXPECT_EQ(exported.messages, 1);
  EXPECT_THAT(exported.events, IsEmpty());
}

TEST_F(EventExportTest, BoundsItsMessages) {
  Append(*store_, "long", 1, 30'000);
  const auto running = Create();
  v1::ExportEventsResponse message;
  for (bool more = true; more;) {
    more = *running->Next(message);
    EXPECT_LT(message.ByteSizeLong(), 2 * EventExport::kMessageBytes);
  }
  EXPECT_GT(Run().messages, 3);
}

TEST_F(EventExportTest, LooksAtSoManyUsersForAMessageAtMost) {
  store_ = NewMemoryStateStore();
  EXPECT_EQ(*store_->PutSchema({"price"}), 1u);
  for (size_t i = 0; i < EventExport::kMessageUsers + 10; ++i) {
    Append(*store_, absl::StrCat("user", i), 1, 1);
  }
  v1::ExportEventsRequest request;
  request.mutable_since()->set_seconds(kFirstUs / 1'000'000 + 60);
  const Exported exported = Run(request);
  EXPECT_EQ(exported.messages, 2);
  EXPECT_THAT(exported.events, IsEmpty());
}

TEST_F(EventExportTest, GivesEveryUserToOneShare) {
  std::map<std::string, size_t> together;
  for (uint32_t share = 0; share < 3; ++share) {
    v1::ExportEventsRequest request;
    request.set_share(share);
    request.set_num_shares(3);
    const auto counts = Run(request).Counts();
    EXPECT_LT(counts.size(), counts_.size());
    for (const auto& [user, count] : counts) {
      EXPECT_TRUE(together.emplace(user, count).second) << user;
    }
  }
  EXPECT_EQ(together, counts_);
}

TEST_F(EventExportTest, LeavesOutWhatHappenedBefore) {
  v1::ExportEventsRequest request;
  request.mutable_since()->set_seconds(kFirstUs / 1'000'000 + 300);
  request.mutable_since()->set_nanos(7'000);
  const Exported exported = Run(request);
  EXPECT_EQ(exported.Counts(),
            (std::map<std::string, size_t>{{"user8", 321 - 299}}));
  EXPECT_EQ(exported.events.at("user8").begin()->first, 300u);
}

TEST_F(EventExportTest, GoesOnFromEveryPosition) {
  Append(*store_, "long", 1, 30'000);
  counts_["long"] = 30'000;
  const int messages = Run().messages;
  ASSERT_GT(messages, 5);
  for (int taken = 1; taken <= messages; ++taken) {
    Exported exported = Run({}, taken);
    v1::ExportEventsRequest request;
    *request.mutable_position() = exported.position;
    const Exported rest = Run(request);
    EXPECT_EQ(rest.event_features, exported.event_features);
    for (const auto& [user, events] : rest.events) {
      for (const auto& [sequence, event] : events) {
        EXPECT_TRUE(exported.events[user].emplace(sequence, event).second);
      }
    }
    EXPECT_EQ(exported.Counts(), counts_);
  }
}

TEST_F(EventExportTest, BeginsAnewWithAUserWhoWasErasedInBetween) {
  Append(*store_, "long", 1, 30'000);
  Exported exported;
  for (int messages = 1; exported.position.user_id() != "long"; ++messages) {
    exported = Run({}, messages);
  }
  ASSERT_TRUE(store_->DeleteUser("long").ok());
  v1::ExportEventsRequest request;
  *request.mutable_position() = exported.position;
  EXPECT_FALSE(Run(request).events.contains("long"));
  Append(*store_, "long", 1, 5, 1, /*incarnation=*/99);
  EXPECT_EQ(Run(request).events.at("long").size(), 5u);
}

TEST_F(EventExportTest, FindsFeaturesByTheirNames) {
  EXPECT_EQ(*store_->PutSchema({"rank", "price"}), 2u);
  UserAppend append;
  append.user_id = "new";
  append.head_after.incarnation = 7;
  append.head_after.last_sequence = 1;
  append.events = {EventOf("new", 1, 2)};
  append.events[0].features = {3, 0.1f};
  ASSERT_TRUE(store_->AppendEvents({append}).ok());
  const Exported exported = Run();
  EXPECT_THAT(exported.event_features, ElementsAre("price", "rank"));
  EXPECT_THAT(exported.events.at("new").at(1).features(),
              ElementsAre(0.1f, 3));
  EXPECT_THAT(exported.events.at("user0").at(1).features(),
              ElementsAre(1.0f / 7, 0));
}

TEST_F(EventExportTest, KeepsItsFeaturesWhereMoreCameSince) {
  const Exported begun = Run({}, 1);
  EXPECT_EQ(*store_->PutSchema({"rank", "price"}), 2u);
  v1::ExportEventsRequest request;
  *request.mutable_position() = begun.position;
  EXPECT_THAT(Run(request).event_features, ElementsAre("price"));
}

TEST_F(EventExportTest, NamesTheFieldThatIsWrong) {
  v1::ExportEventsRequest request;
  request.set_share(1);
  EXPECT_THAT(Refusal(request), HasSubstr("share: 1; must be less than"));
  request.set_num_shares(1);
  EXPECT_THAT(Refusal(request), HasSubstr("num_shares, which is 1"));
  request.Clear();
  request.mutable_since()->set_nanos(-1);
  EXPECT_THAT(Refusal(request), HasSubstr("since: 0 s and -1 ns"));
  request.Clear();
  request.mutable_position()->set_user_id(std::string(70'000, 'x'));
  EXPECT_THAT(Refusal(request), HasSubstr("position.user_id"));
  request.Clear();
  request.mutable_position()->set_num_schemas(2);
  v1::ExportEventsResponse message;
  EXPECT_THAT(Create(request)->Next(message).status().message(),
              HasSubstr("position.num_schemas: 2"));
}

class DamagedExportTest : public EventExportTest {
 protected:
  DamagedExportTest() {
    RocksDbOptions options;
    options.path = folder_.Path("store");
    {
      const auto store = *OpenRocksDbStateStore(options);
      EXPECT_EQ(*store->PutSchema({"price"}), 1u);
      for (const auto& [user, count] : counts_) Append(*store, user, 1, count);
    }
    {
      RawDatabase raw(options.path);
      raw.Put("log", LogKey("user3", 50), "nothing of the kind");
      raw.Put("heads", UserKey("user5"), "no head");
    }
    store_ = *OpenRocksDbStateStore(options);
    counts_["user3"] = 49;
    counts_.erase("user5");
  }

  const TempDir folder_;
};

TEST_F(DamagedExportTest, NamesDamagedLogsOnceAndGoesOn) {
  const Exported exported = Run();
  EXPECT_EQ(exported.Counts(), counts_);
  EXPECT_THAT(exported.damaged,
              ::testing::UnorderedElementsAre("user3", "user5"));
  EXPECT_EQ(metrics_.state.damaged_logs.Value(), 2);
  v1::ExportEventsRequest request;
  for (const char* user : {"user3", "user5"}) {
    request.mutable_position()->set_user_id(user);
    request.mutable_position()->set_num_schemas(1);
    request.mutable_position()->set_next_sequence(
        std::string(user) == "user3" ? counts_.at("user3") + 72 + 1 : 0);
    request.mutable_position()->set_incarnation(
        std::string(user) == "user3" ? 7 : 0);
    EXPECT_THAT(Run(request).damaged, ::testing::Not(::testing::Contains(user)))
        << user;
  }
}

}  // namespace
}  // namespace qlarank::testing

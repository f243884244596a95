// Every wrong request gets its exact status code and a message that names the
// field and the value. Nothing of it is applied.
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Request>
struct BadInput {
  std::string name;
  std::function<void(Request&)> spoil;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  std::string message;  // how it begins
};

template <typename Request>
void PrintTo(const BadInput<Request>& input, std::ostream* out) {
  *out << input.name;
}

template <typename Request>
std::string NameOf(const ::testing::TestParamInfo<BadInput<Request>>& info) {
  return info.param.name;
}

ServerOptions SmallLimits() {
  ServerOptions options = TestOptions();
  options.limits.max_user_id_bytes = 16;
  options.limits.max_source_bytes = 16;
  options.limits.max_candidates = 100;
  options.limits.max_recent_events = 3;
  options.limits.max_events_per_append = 5;
  options.limits.max_sources_per_user = 2;
  options.limits.max_message_bytes = 1 << 16;
  return options;
}

// One server for all: bad requests leave no trace.
class Suite : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    bundle_ = LoadGolden(GoldenModel());
    server_ = new TestServer(SmallLimits());
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

 protected:
  static std::shared_ptr<const Bundle> bundle_;
  static TestServer* server_;
};
std::shared_ptr<const Bundle> Suite::bundle_;
TestServer* Suite::server_ = nullptr;

// -- Rank --------------------------------------------------------------------

using BadRank = BadInput<v1::RankRequest>;
class BadRankTest : public Suite,
                    public ::testing::WithParamInterface<BadRank> {};

TEST_P(BadRankTest, IsRefused) {
  v1::RankRequest request =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 2));
  GetParam().spoil(request);
  const absl::Status status = server_->Rank(request).status();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith(GetParam().message));
}

v1::Event& AddRecent(v1::RankRequest& request, int64_t seconds) {
  v1::Event& event = *request.add_recent_events();
  event.mutable_time()->set_seconds(seconds);
  for (int i = 0; i < 3; ++i) event.add_features(0);
  return event;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadRankTest,
    ::testing::Values(
        BadRank{"NoUser", [](auto& r) { r.clear_user_id(); },
                absl::StatusCode::kInvalidArgument, "user_id: \"\"; "},
        BadRank{"LongUser", [](auto& r) { r.set_user_id("12345678901234567"); },
                absl::StatusCode::kInvalidArgument,
                "user_id: \"12345678901234567\"; must be at most 16 bytes"},
        BadRank{"NoCandidates",
                [](auto& r) {
                  r.clear_item_ids();
                  r.clear_candidate_features();
                },
                absl::StatusCode::kInvalidArgument, "item_ids: empty; "},
        BadRank{"AnEmptyText",
                [](auto& r) {
                  r.clear_item_ids();
                  r.add_item_keys("a");
                  r.add_item_keys("");
                },
                absl::StatusCode::kInvalidArgument,
                "item_keys[1]: \"\"; an item has a text"},
        BadRank{"TextsAndIds", [](auto& r) { r.add_item_keys("a"); },
                absl::StatusCode::kInvalidArgument,
                "item_keys: 1 keys; there are 2 item_ids, too: give one"},
        BadRank{"TooManyCandidates",
                [](auto& r) {
                  for (int i = 0; i < 99; ++i) r.add_item_ids(i);
                },
                absl::StatusCode::kInvalidArgument,
                "item_ids: 101 candidates; must be at most 100, "
                "limits.max_candidates of the server"},
        BadRank{"FeatureMatrixTooSmall",
                [](auto& r) { r.mutable_candidate_features()->RemoveLast(); },
                absl::StatusCode::kInvalidArgument,
                "candidate_features: 5 values; must be 6"},
        BadRank{"NanFeature",
                [](auto& r) { r.set_candidate_features(4, kNan); },
                absl::StatusCode::kInvalidArgument,
                "candidate_features[4]: nan; must be finite"},
        BadRank{"InfiniteFeature",
                [](auto& r) { r.set_candidate_features(1, kInfinity); },
                absl::StatusCode::kInvalidArgument,
                "candidate_features[1]: inf; must be finite"},
        BadRank{"HugeFeature",
                [](auto& r) { r.set_candidate_features(1, -2e9f); },
                absl::StatusCode::kInvalidArgument,
                "candidate_features[1]: -2e+09; must be between -1e9 and 1e9"},
        BadRank{
            "RequestTime",
            [](auto& r) { r.mutable_request_time()->set_nanos(2'000'000'000); },
            absl::StatusCode::kInvalidArgument, "request_time: "},
        BadRank{"ContextFeature",
                [](auto& r) { (*r.mutable_context())["weather"] = "rain"; },
                absl::StatusCode::kInvalidArgument,
                "context[\"weather\"]: \"rain\"; "},
        BadRank{"UnknownTask", [](auto& r) { r.add_tasks("love"); },
                absl::StatusCode::kInvalidArgument, "tasks[0]: \"love\"; "},
        BadRank{"TaskTwice",
                [](auto& r) {
                  r.add_tasks("click");
                  r.add_tasks("click");
                },
                absl::StatusCode::kInvalidArgument, "tasks[1]: \"click\"; "},
        BadRank{"WeightCount", [](auto& r) { r.add_value_weights(1); },
                absl::StatusCode::kInvalidArgument,
                "value_weights: 1 weights; must be one for each of 3 tasks"},
        BadRank{"NanWeight",
                [](auto& r) {
                  r.add_tasks("click");
                  r.add_value_weights(kNan);
                },
                absl::StatusCode::kInvalidArgument, "value_weights[0]: nan; "},
        BadRank{"RecentAction",
                [](auto& r) { AddRecent(r, 1000).set_action("eat"); },
                absl::StatusCode::kInvalidArgument,
                "recent_events[0].action: \"eat\"; "},
        BadRank{"RecentWithoutTime",
                [](auto& r) { AddRecent(r, 1000).clear_time(); },
                absl::StatusCode::kInvalidArgument,
                "recent_events[0].time: missing; "},
        BadRank{
            "RecentInTheFuture", [](auto& r) { AddRecent(r, 4'000'000'000); },
            absl::StatusCode::kInvalidArgument, "recent_events[0].time: 2096-"},
        BadRank{"RecentOutOfOrder",
                [](auto& r) {
                  AddRecent(r, 1000);
                  AddRecent(r, 999);
                },
                absl::StatusCode::kInvalidArgument, "recent_events[1].time: "},
        BadRank{"RecentFeatures",
                [](auto& r) { AddRecent(r, 1000).add_features(0); },
                absl::StatusCode::kInvalidArgument,
                "recent_events[0].features: 4 values; "},
        BadRank{"TooManyRecent",
                [](auto& r) {
                  for (int i = 0; i < 4; ++i) AddRecent(r, 1000);
                },
                absl::StatusCode::kInvalidArgument,
                "recent_events: 4 events; must be at most 3"},
        BadRank{"NegativeStateAge",
                [](auto& r) { r.mutable_max_state_age()->set_seconds(-1); },
                absl::StatusCode::kInvalidArgument, "max_state_age: -1s; "},
        BadRank{"UnknownModel", [](auto& r) { r.set_model_name("nope"); },
                absl::StatusCode::kNotFound, "model_name: \"nope\"; "},
        BadRank{"UnknownVersion", [](auto& r) { r.set_model_version(7); },
                absl::StatusCode::kNotFound, "model_version: 7; "},
        BadRank{"EventsThatAreNotThere",
                [](auto& r) { r.set_min_event_count(1); },
                absl::StatusCode::kFailedPrecondition,
                "min_event_count: 1; user \"user\" has 0 events"},
        BadRank{"MessageTooLarge",
                [](auto& r) {
                  for (int i = 0; i < 10000; ++i) r.add_item_ids(i);
                },
                absl::StatusCode::kResourceExhausted, ""}),
    NameOf<v1::RankRequest>);

// -- AppendEvents ------------------------------------------------------------

using BadAppend = BadInput<v1::AppendEventsRequest>;
class BadAppendTest : public Suite,
                      public ::testing::WithParamInterface<BadAppend> {};

TEST_P(BadAppendTest, IsRefusedAndNothingElseIs) {
  const std::vector<std::string> users = {"ann", "ben", "eve"};
  v1::AppendEventsRequest request = MakeAppend(*bundle_, users[0], 1, 1);
  AddEvent(*bundle_, users[1], 1, request);  // spoiled, unless the whole is
  AddEvent(*bundle_, users[2], 1, request);
  GetParam().spoil(request);
  const auto response = server_->Append(request);
  absl::Status status = response.status();
  if (response.ok()) {
    EXPECT_EQ(response->applied(), 2);
    EXPECT_THAT(response->outcomes(),
                ElementsAre(v1::EVENT_OUTCOME_APPLIED,
                            v1::EVENT_OUTCOME_REFUSED,
                            v1::EVENT_OUTCOME_APPLIED));
    ASSERT_EQ(response->refusals_size(), 1);
    EXPECT_EQ(response->refusals(0).index(), 1);
    const auto& refusal = response->refusals(0).status();
    status = absl::Status(static_cast<absl::StatusCode>(refusal.code()),
                          refusal.message());
    google::rpc::BadRequest bad;
    ASSERT_EQ(refusal.details_size(), 2);
    ASSERT_TRUE(refusal.details(0).UnpackTo(&bad) ||
                refusal.details(1).UnpackTo(&bad));
    EXPECT_THAT(refusal.message(),
                StartsWith(bad.field_violations(0).field() + ": "));
  }
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith(GetParam().message));
  for (const std::string& user : users) {
    const auto state = server_->GetState(user, 0);
    ASSERT_TRUE(state.ok()) << state.status();
    const bool there = response.ok() && user != users[1];
    EXPECT_EQ(state->state().log_sequence(), there ? 1 : 0);
    EXPECT_TRUE(server_->Delete(user).ok());
  }
}

v1::Event& Second(v1::AppendEventsRequest& request) {
  return *request.mutable_events(1)->mutable_event();
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadAppendTest,
    ::testing::Values(
        BadAppend{"NoSource", [](auto& r) { r.clear_source(); },
                  absl::StatusCode::kInvalidArgument, "source: \"\"; "},
        BadAppend{"LongSource",
                  [](auto& r) { r.set_source("12345678901234567"); },
                  absl::StatusCode::kInvalidArgument,
                  "source: \"12345678901234567\"; must be at most 16 bytes"},
        BadAppend{"TextAndId",
                  [](auto& r) {
                    Second(r).set_item_id(7);
                    Second(r).set_item_key("a");
                  },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.item_key: \"a\"; has an item_id beside it, "
                  "7: give one"},
        BadAppend{
            "NoUser", [](auto& r) { r.mutable_events(1)->clear_user_id(); },
            absl::StatusCode::kInvalidArgument, "events[1].user_id: \"\"; "},
        BadAppend{
            "NoEvent", [](auto& r) { r.mutable_events(1)->clear_event(); },
            absl::StatusCode::kInvalidArgument, "events[1].event: missing; "},
        BadAppend{"SequenceZero",
                  [](auto& r) { r.mutable_events(1)->set_sequence(0); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].sequence: 0; must be at least 1"},
        BadAppend{"SequenceNearTheEnd",
                  [](auto& r) {
                    r.mutable_events(1)->set_sequence(uint64_t{1} << 63);
                  },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].sequence: 9223372036854775808; must be at most "
                  "9223372036854775807"},
        BadAppend{"NoTime", [](auto& r) { Second(r).clear_time(); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.time: missing; "},
        BadAppend{"InvalidTime",
                  [](auto& r) { Second(r).mutable_time()->set_nanos(-1); },
                  absl::StatusCode::kInvalidArgument, "events[1].event.time: "},
        BadAppend{"FarFuture",
                  [](auto& r) {
                    Second(r).mutable_time()->set_seconds(4'000'000'000);
                  },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.time: 2096-"},
        BadAppend{"UnknownAction", [](auto& r) { Second(r).set_action("eat"); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.action: \"eat\"; "},
        BadAppend{"FeatureCount", [](auto& r) { Second(r).add_features(1); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.features: 4 values; "},
        BadAppend{"NanFeature",
                  [](auto& r) { Second(r).set_features(2, kNan); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.features[2]: nan; "},
        BadAppend{"HugeFeature",
                  [](auto& r) { Second(r).set_features(2, 1.5e9f); },
                  absl::StatusCode::kInvalidArgument,
                  "events[1].event.features[2]: 1.5e+09; must be between"},
        BadAppend{"TooManyEvents",
                  [](auto& r) {
                    for (int i = 0; i < 3; ++i) *r.add_events() = r.events(0);
                  },
                  absl::StatusCode::kInvalidArgument,
                  "events: 6 events; must be at most 5"}),
    NameOf<v1::AppendEventsRequest>);

TEST_F(Suite, TooManySourcesOfOneUserAreRefused) {
  for (const char* source : {"a", "b"}) {
    ASSERT_TRUE(
        server_->Append(MakeAppend(*bundle_, "sources", 1, 2, source)).ok());
  }
  const absl::Status status =
      server_->Append(MakeAppend(*bundle_, "sources", 1, 2, "c")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              StartsWith("events[0].user_id: \"sources\"; already has events "
                         "of 2 open sources"));
  EXPECT_TRUE(server_->Append(MakeAppend(*bundle_, "sources", 3, 3, "a")).ok());
}

TEST_F(Suite, StateServiceChecksItsUserToo) {
  for (const absl::Status& status :
       {server_->GetState("", 0).status(), server_->Delete("").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith("user_id: \"\"; "));
  }
}

}  // namespace
}  // namespace qlarank::testing

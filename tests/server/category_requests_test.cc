// Texts of categories and the features that these stand for make the same
// states and the same scores, bit for bit.
#include <google/protobuf/text_format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/fingerprint.h"
#include "model/item_key.h"
#include "server/pipeline.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

// The golden model with everything, whose second and third features are what
// categories are made into: a device of events, and two buckets of candidates.
ModelOptions CategoryModel(const std::string& folder) {
  ModelOptions options = GoldenModel();
  model::v1::ModelSpec spec = LoadGolden(options)->spec();
  spec.clear_golden_sha256();  // They are of the features as they were.
  spec.set_event_features(1, "device=tv");
  spec.set_event_features(2, "device=phone");
  model::v1::Category& device = *spec.add_event_categories();
  device.set_name("device");
  device.add_values("tv");
  device.add_values("phone");
  spec.set_candidate_features(1, "tags#0");
  spec.set_candidate_features(2, "tags#1");
  model::v1::Category& tags = *spec.add_candidate_categories();
  tags.set_name("tags");
  tags.set_hash_buckets(2);
  std::filesystem::copy(options.path, folder);
  options.path = folder;
  spec.set_fingerprint(ComputeFingerprint(
      spec, **TensorFile::Open(folder + "/weights.safetensors"),
      **TensorFile::Open(folder + "/items.safetensors")));
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  const std::filesystem::path file = folder + "/model.textproto";
  std::filesystem::remove(file);
  std::ofstream(file) << text;
  return options;
}

class CategoryRequestsTest : public ::testing::Test {
 protected:
  CategoryRequestsTest()
      : options_(TestOptions(CategoryModel(dir_.Path("bundle")))),
        bundle_(LoadGolden(options_.models[0])),
        pipeline_(*Pipeline::Create(options_, store_, metrics_)) {}

  // The n-th event of everybody: by its texts, or by the features they are.
  v1::Event Event(uint64_t n, bool by_texts) const {
    v1::Event event = MakeEvent(*bundle_, "user", n);
    const char* device = n % 3 == 0 ? "tv" : n % 3 == 1 ? "phone" : "fax";
    const float number = event.features(0);
    event.clear_features();
    event.add_features(number);
    if (by_texts) {
      v1::CategoryValues& category = *event.add_categories();
      category.set_name("device");
      category.add_values(device);
    } else {
      event.add_features(n % 3 == 0);
      event.add_features(n % 3 == 1);
    }
    return event;
  }

  v1::RankRequest Request(const std::string& user, bool by_texts) const {
    v1::RankRequest request =
        MakeRank(*bundle_, user, CatalogueItems(*bundle_, 70));
    request.clear_candidate_features();
    v1::CandidateCategory tags;
    tags.set_name("tags");
    for (int i = 0; i < request.item_ids_size(); ++i) {
      const std::string tag = absl::StrCat("tag ", i);
      const uint64_t bucket = ItemIdOfKey(tag) % 2;
      request.add_candidate_features(i);
      tags.add_candidates()->add_values(tag);
      if (by_texts) continue;
      request.add_candidate_features(bucket == 0);
      request.add_candidate_features(bucket == 1);
    }
    if (by_texts) *request.add_candidate_categories() = tags;
    *request.add_recent_events() = Event(8, by_texts);
    *request.add_recent_events() = Event(9, by_texts);
    request.set_min_event_count(7);
    return request;
  }

  AppendResult Append(const std::string& user, bool by_texts,
                      const std::function<void(v1::Event&)>& edit = {}) {
    v1::AppendEventsRequest request;
    request.set_source("test");
    for (uint64_t n = 1; n <= 7; ++n) {
      v1::UserEvent& event = *request.add_events();
      event.set_user_id(user);
      event.set_sequence(n);
      *event.mutable_event() = Event(n, by_texts);
      if (edit && n == 3) edit(*event.mutable_event());
    }
    AppendResult result;
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {"client"},
                               IngestPipeline::OnFull::kRefuse,
                               [&](AppendResult appended) {
                                 result = std::move(appended);
                                 done.Notify();
                               });
    done.WaitForNotification();
    return result;
  }

  absl::Status Rank(const v1::RankRequest& request,
                    v1::RankResponse& response) {
    RankCall::Context context;
    context.arrival = absl::Now();
    context.deadline = context.arrival + absl::Hours(1);
    absl::Status result;
    absl::Notification done;
    auto admission = pipeline_->rank().Admit(request, context);
    if (!admission.ok()) return admission.status();
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            [&](absl::Status status, RequestSlot slot) {
                              { const RequestSlot back = std::move(slot); }
                              result = std::move(status);
                              done.Notify();
                            });
    done.WaitForNotification();
    return result;
  }

  std::vector<float> Scores(const v1::RankRequest& request) {
    v1::RankResponse response;
    const absl::Status status = Rank(request, response);
    EXPECT_TRUE(status.ok()) << status;
    return {response.scores().begin(), response.scores().end()};
  }

  TempDir dir_;
  ServerOptions options_;
  const std::shared_ptr<const Bundle> bundle_;
  MemoryStateStore store_;
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(CategoryRequestsTest, TextsAndTheirFeaturesAreTheSame) {
  EXPECT_EQ(Append("ann", /*by_texts=*/true).response.applied(), 7);
  // The third's is no value of the model's, nor the sixth's.
  EXPECT_EQ(metrics_.ingest.unknown_category_values.Value(), 2);
  EXPECT_EQ(Append("bob", /*by_texts=*/false).response.applied(), 7);
  const std::vector<float> scores = Scores(Request("bob", false));
  EXPECT_THAT(Scores(Request("ann", true)), ElementsAreArray(scores));
  EXPECT_EQ(metrics_.rank.unknown_category_values.Value(), 1);
  EXPECT_THAT(Scores(Request("ann", false)), ElementsAreArray(scores));
  // And they count: in the state, in recent events, in candidates.
  v1::RankRequest other = Request("ann", true);
  other.mutable_candidate_categories(0)->mutable_candidates(0)->clear_values();
  EXPECT_THAT(Scores(other), Not(ElementsAreArray(scores)));
  other = Request("ann", true);
  other.mutable_recent_events(1)->mutable_categories(0)->set_values(0, "phone");
  EXPECT_THAT(Scores(other), Not(ElementsAreArray(scores)));
  EXPECT_EQ(Append("eve", true, [](v1::Event& event) {
              event.mutable_categories(0)->clear_values();
              event.mutable_categories(0)->add_values("phone");
            }).response.applied(),
            7);
  EXPECT_THAT(Scores(Request("eve", true)), Not(ElementsAreArray(scores)));
}

TEST_F(CategoryRequestsTest, AnEventWhoseCategoriesAreWrongIsRefusedAlone) {
  const AppendResult result = Append("ann", true, [](v1::Event& event) {
    event.mutable_categories(0)->set_name("devise");
  });
  EXPECT_EQ(result.response.applied(), 2);
  ASSERT_FALSE(result.response.outcomes().empty());
  EXPECT_THAT(result.response.DebugString(),
              HasSubstr("event.categories[0].name: \\\"devise\\\"; is not a "
                        "category of the model"));
}

TEST_F(CategoryRequestsTest, ARequestWhoseCategoriesAreWrongIsRefused) {
  v1::RankResponse response;
  v1::RankRequest request = Request("ann", true);
  request.clear_min_event_count();
  request.mutable_recent_events(1)->add_features(1);
  absl::Status status = Rank(request, response);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("recent_events[1].features: 2 values; must be 1"));
  request = Request("ann", true);
  request.mutable_candidate_categories(0)->mutable_candidates()->RemoveLast();
  status = Rank(request, response);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("candidate_categories[0].candidates: 69 entries"));
}

}  // namespace
}  // namespace qlarank::testing

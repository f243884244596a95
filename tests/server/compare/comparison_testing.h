// Two versions of a model that has everything, in a pipeline that logs every
// request. The second finds features and actions of the same names elsewhere, so
// it says something else of the same requests.
#ifndef QLARANK_TESTS_SERVER_COMPARE_COMPARISON_TESTING_H_
#define QLARANK_TESTS_SERVER_COMPARE_COMPARISON_TESTING_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/pipeline.h"
#include "state_store/memory_state_store.h"
#include "tests/server/request_log/log_testing.h"
#include "tests/testing/renamed_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

// The bundle of version 2, in a folder that lives as long.
class SecondVersion : public RenamedModel {
 public:
  SecondVersion()
      : RenamedModel("m", {"skip", "view", "buy"},
                     {"dwell", "price", "rating"}) {
    EditSpec([](model::v1::ModelSpec& spec) {
      spec.mutable_candidate_features()->SwapElements(0, 2);
    });
  }
  ModelOptions options() const {
    ModelOptions options = RenamedModel::options();
    options.version = 2;
    return options;
  }
  std::string folder() const { return folder_; }
};

inline ModelOptions FirstVersion() {
  ModelOptions options = GoldenModel();
  options.name = "m";
  return options;
}

// Of a user's candidates: features, recent events, an order, and whatever else
// follows from n.
inline v1::RankRequest RequestOf(const Bundle& bundle, const std::string& user,
                                 uint64_t n) {
  std::vector<uint64_t> items = CatalogueItems(bundle, 20 + 30 * (n % 4));
  items.push_back(~n - 100);  // which nobody knows
  v1::RankRequest request = MakeRank(bundle, user, items);
  request.set_request_id(absl::StrCat(user, "-", n));
  request.set_top_k(n % 3 == 0 ? 0 : 5);
  if (n % 4 == 1) request.add_tasks("like");
  if (n % 5 == 2) {
    *request.add_recent_events() = MakeEvent(bundle, user, 900);
    request.mutable_recent_events(0)->clear_action();
    *request.add_recent_events() = MakeEvent(bundle, user, 901);
  }
  return request;
}

class ComparisonTest : public ::testing::Test {
 protected:
  ComparisonTest() {
    options_.models.push_back(second_.options());
    options_.request_log.path = path_;
    options_.request_log.sample = 1;
    auto pipeline = Pipeline::Create(options_, *store_, metrics_);
    EXPECT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }

  LoadedModelPtr Model(uint64_t version) {
    return pipeline_->models().Current()->Find("m", version);
  }
  const Bundle& bundle() { return Model(1)->bundle(); }

  void Append(const std::string& user, uint64_t first, uint64_t last) {
    const auto request = MakeAppend(bundle(), user, first, last);
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {},
                               IngestPipeline::OnFull::kRefuse,
                               [&](AppendResult) { done.Notify(); });
    done.WaitForNotification();
  }

  v1::RankResponse Rank(const v1::RankRequest& request) {
    RankCall::Context context;
    context.arrival = absl::Now();
    auto admission = pipeline_->rank().Admit(request, context);
    EXPECT_TRUE(admission.ok()) << admission.status();
    v1::RankResponse response;
    absl::Notification done;
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            [&](absl::Status status, RequestSlot slot) {
                              { const RequestSlot end = std::move(slot); }
                              EXPECT_TRUE(status.ok()) << status;
                              done.Notify();
                            });
    done.WaitForNotification();
    return response;
  }
  // Of a state that holds so many events.
  v1::RankResponse RankAt(const std::string& user, uint64_t events,
                          uint64_t n) {
    v1::RankRequest request = RequestOf(bundle(), user, n);
    request.set_min_event_count(events);
    request.set_max_events_behind(0);
    return Rank(request);
  }

  uint64_t Erase(const std::string& user) {
    Owner::ErasureOrder order;
    order.note.time_us = 1;
    uint64_t removed = 0;
    absl::Notification done;
    pipeline_->ingest().DeleteUser(user, std::move(order),
                                   [&](absl::StatusOr<uint64_t> result) {
                                     removed = result.value();
                                     done.Notify();
                                   });
    done.WaitForNotification();
    return removed;
  }

  // What was logged so far, once it is written.
  std::vector<v1::LoggedRequest> Records(size_t count) {
    std::vector<v1::LoggedRequest> records;
    for (int i = 0; i < 1000 && records.size() < count; ++i) {
      records.clear();
      for (const std::string& bytes : LogRecords(path_)) {
        EXPECT_TRUE(records.emplace_back().ParseFromString(bytes));
      }
      if (records.size() < count) absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(records.size(), count);
    return records;
  }

  // Of all metrics of a name, those that have these labels, together.
  double Metric(const std::string& name,
                const prometheus::Labels& labels = {}) {
    double sum = 0;
    for (const auto& family : metrics_.registry.Collect()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        size_t found = 0;
        for (const auto& label : metric.label) {
          const auto wanted = labels.find(label.name);
          found += wanted != labels.end() && wanted->second == label.value;
        }
        if (found == labels.size()) sum += metric.counter.value;
      }
    }
    return sum;
  }

  const std::string path_ = NewLogPath();
  const SecondVersion second_;
  ServerOptions options_ = TestOptions(FirstVersion());
  const std::unique_ptr<StateStore> store_ = NewMemoryStateStore();
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_COMPARE_COMPARISON_TESTING_H_

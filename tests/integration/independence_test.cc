// Scores are bitwise the same alone, among 5,000 others, permuted, at any tile
// position, with one worker and with two, and while other users' events stream
// in; and the check that says so notices a leak.
#include "tests/testing/independence.h"

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr uint64_t kUserEvents = 50;

// A server whose user "user" has a history, and a scorer over its socket.
class Subject {
 public:
  explicit Subject(uint32_t workers, const ModelOptions& model = GoldenModel())
      : options_(TestOptions(model)),
        bundle_(LoadGolden(options_.models.front())),
        server_(WithWorkers(workers)) {
    EXPECT_TRUE(server_.Append(MakeAppend(*bundle_, "user", 1, kUserEvents)).ok());
  }

  const Bundle& bundle() const { return *bundle_; }
  size_t num_tasks() const { return bundle_->spec().tasks_size(); }
  TestServer& server() { return server_; }

  Scorer scorer() {
    return [this](const std::vector<uint64_t>& items) {
      v1::RankRequest request = MakeRank(*bundle_, "user", items);
      request.set_min_event_count(kUserEvents);
      const auto response = server_.Rank(request);
      EXPECT_TRUE(response.ok()) << response.status();
      EXPECT_EQ(response->scored_fraction(), 1);
      return std::vector<float>(response->scores().begin(),
                                response->scores().end());
    };
  }

  // The first of the catalogue, and an item that it does not hold.
  std::vector<uint64_t> probes() const {
    std::vector<uint64_t> items = CatalogueItems(*bundle_, 20);
    items.push_back(123'456'789);
    return items;
  }

  // None of the probes.
  std::vector<uint64_t> crowd() const {
    const size_t num_items = bundle_->item_ids().size();
    const std::vector<uint64_t> all = CatalogueItems(*bundle_, num_items);
    std::vector<uint64_t> items;
    for (size_t i = 0; items.size() < 5000; ++i) {
      items.push_back(i % 10 == 0 ? 1'000'000 + i
                                  : all[20 + i % (num_items - 20)]);
    }
    return items;
  }

  std::optional<std::string> Check(const Scorer& scorer) const {
    return FindDependence(scorer, probes(), crowd(), num_tasks(), /*seed=*/1);
  }

 private:
  ServerOptions WithWorkers(uint32_t workers) {
    options_.rank.workers = workers;
    return options_;
  }

  ServerOptions options_;
  std::shared_ptr<const Bundle> bundle_;
  TestServer server_;
};

TEST(IndependenceTest, AScoreDependsOnItsCandidateOnly) {
  for (const uint32_t workers : {1, 2}) {
    Subject subject(workers);
    EXPECT_EQ(subject.Check(subject.scorer()), std::nullopt)
        << workers << " workers";
  }
}

// With candidates that attend to summaries, kept with the state or made for the
// request.
TEST(IndependenceTest, SummariesLetNothingThrough) {
  for (const char* model :
       {"seeds_block_l2_attended", "seeds_all_l2_attended"}) {
    Subject subject(2, GoldenModel(model));
    EXPECT_EQ(subject.Check(subject.scorer()), std::nullopt) << model;
  }
}

TEST(IndependenceTest, TheNumberOfWorkersDoesNotShow) {
  Subject one(1);
  Subject two(2);
  EXPECT_EQ(one.scorer()(one.crowd()), two.scorer()(two.crowd()));
}

TEST(IndependenceTest, OtherUsersEventsDoNotShow) {
  Subject subject(2);
  const std::vector<float> quiet = subject.scorer()(subject.probes());
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> streamed{0};
  std::thread others([&] {
    for (uint64_t n = 1; !stop; ++n) {
      v1::AppendEventsRequest request;
      request.set_source("test");
      for (int user = 0; user < 50; ++user) {
        AddEvent(subject.bundle(), "other" + std::to_string(user), n, request);
      }
      ASSERT_TRUE(subject.server().Append(request).ok());
      ++streamed;
    }
  });
  EXPECT_EQ(subject.Check(subject.scorer()), std::nullopt);
  EXPECT_EQ(subject.scorer()(subject.probes()), quiet);
  stop = true;
  others.join();
  EXPECT_GT(streamed, 10);
}

// A millionth of the neighbour's score, added to one in a hundred.
TEST(IndependenceTest, TheCheckNoticesALeak) {
  Subject subject(2);
  const Scorer leaky = [&](const std::vector<uint64_t>& items) {
    const std::vector<float> honest = subject.scorer()(items);
    std::vector<float> scores = honest;
    for (size_t i = 1; i < items.size(); ++i) {
      if (items[i] % 100 != subject.probes()[3] % 100) continue;
      const size_t tasks = subject.num_tasks();
      scores[i * tasks] += 1e-6f * honest[(i - 1) * tasks];
    }
    return scores;
  };
  EXPECT_NE(subject.Check(leaky), std::nullopt);
}

// As a padded tile would leak: only through the row's position in its tile.
TEST(IndependenceTest, TheCheckNoticesAPositionThatMatters) {
  Subject subject(2);
  const Scorer leaky = [&](const std::vector<uint64_t>& items) {
    std::vector<float> scores = subject.scorer()(items);
    for (size_t i = 63; i < items.size(); i += 64) {
      float& score = scores[i * subject.num_tasks() + 1];
      score = std::nextafter(score, 100.0f);
    }
    return scores;
  };
  EXPECT_NE(subject.Check(leaky), std::nullopt);
}

}  // namespace
}  // namespace qlarank::testing

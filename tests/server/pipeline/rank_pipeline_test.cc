// Requests that are refused, cancelled or late, with a worker that the test
// stops wherever it likes: no test depends on how fast it is.
#include "server/pipeline/rank_pipeline.h"

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/metrics.h"
#include "server/pipeline/model_registry.h"
#include "server/pipeline/user_locks.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kCandidates = 20'000;

// Does something on the worker, between two tiles.
class Interruption final : public TileJob {
 public:
  explicit Interruption(std::function<void()> act) : act_(std::move(act)) {}
  Step Prepare(size_t) override {
    act_();
    return Step::kEnd;
  }
  void RunUnit(size_t, size_t) override {}
  void Finish(size_t, size_t) override {}

 private:
  const std::function<void()> act_;
};

class RankPipelineTest : public ::testing::Test {
 protected:
  struct Call {
    v1::RankRequest request;
    v1::RankResponse response;
    RankCall::Context context;
    RankCall::CancelFlag cancelled{false};
    absl::Status status;
    absl::Notification done;

    size_t scored() const {
      size_t scored = 0;
      for (const float score : response.scores()) scored += !std::isnan(score);
      return scored / 3;  // tasks
    }
  };

  RankPipelineTest() {
    auto models =
        ModelRegistry::Load(options_.models, {*store_, locks_, metrics_});
    EXPECT_TRUE(models.ok()) << models.status();
    models_ = *std::move(models);
    scheduler_ = std::make_unique<TileScheduler>(1);
    rank_ = std::make_unique<RankPipeline>(*models_, *scheduler_, metrics_,
                                           options_.limits, 100);
  }

  std::unique_ptr<Call> NewCall(size_t candidates, absl::Duration timeout) {
    auto call = std::make_unique<Call>();
    call->request =
        MakeRank(models_->models()[0]->bundle(), "user",
                 CatalogueItems(models_->models()[0]->bundle(), candidates));
    call->context.arrival = absl::Now();
    call->context.deadline = call->context.arrival + timeout;
    call->context.cancelled = &call->cancelled;
    return call;
  }

  void Start(Call& call) {
    rank_->Start(call.request, call.response, call.context,
                 [&call](absl::Status status) {
                   call.status = std::move(status);
                   call.done.Notify();
                 });
  }

  // What the first tile will have cost.
  void SetTileCost(absl::Duration cost) {
    models_->models()[0]->tile_cost.Observe(cost);
  }

  // Before anything that is expected to have more to do.
  void Interrupt(std::function<void()> act) {
    scheduler_->Submit(std::make_shared<Interruption>(std::move(act)), 0,
                       absl::Now(), absl::InfiniteFuture(),
                       absl::ZeroDuration());
  }

  // Stops the worker between two tiles of `call`, some of which it has scored,
  // does `act`, and returns how many.
  size_t InterruptWhileScoring(const Call& call, std::function<void()> act) {
    size_t scored = 0;
    while (scored == 0) {
      absl::Notification interrupted;
      Interrupt([&] {
        scored = call.scored();
        if (scored > 0) act();
        interrupted.Notify();
      });
      interrupted.WaitForNotification();
    }
    return scored;
  }

  const ServerOptions options_ = TestOptions();
  const std::unique_ptr<StateStore> store_ = NewMemoryStateStore();
  Metrics metrics_;
  UserLocks locks_;
  std::unique_ptr<ModelRegistry> models_;
  std::unique_ptr<RankPipeline> rank_;
  // Before what its jobs use.
  std::unique_ptr<TileScheduler> scheduler_;
};

TEST_F(RankPipelineTest, NoTileIsBegunOnceTheCallerCancelled) {
  SetTileCost(absl::Milliseconds(1));
  const auto call = NewCall(kCandidates, absl::Hours(1));
  Start(*call);
  const size_t scored =
      InterruptWhileScoring(*call, [&] { call->cancelled = true; });
  call->done.WaitForNotification();
  ASSERT_LT(scored, kCandidates);
  EXPECT_TRUE(absl::IsCancelled(call->status)) << call->status;
  EXPECT_EQ(metrics_.rank.unscored_cancelled.Value(), kCandidates - scored);
  EXPECT_EQ(metrics_.rank.unscored_deadline.Value(), 0);
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
}

TEST_F(RankPipelineTest, NoTileIsBegunOnceTheDeadlinePassed) {
  SetTileCost(absl::Milliseconds(1));
  for (const bool allow_partial : {false, true}) {
    const double before = metrics_.rank.unscored_deadline.Value();
    const auto call = NewCall(kCandidates, absl::Seconds(1));
    call->request.set_allow_partial(allow_partial);
    Start(*call);
    const size_t scored = InterruptWhileScoring(
        *call, [&] { absl::SleepFor(call->context.deadline - absl::Now()); });
    call->done.WaitForNotification();
    ASSERT_LT(scored, kCandidates);
    EXPECT_EQ(metrics_.rank.unscored_deadline.Value() - before,
              kCandidates - scored);
    if (allow_partial) {
      EXPECT_TRUE(call->status.ok()) << call->status;
      EXPECT_EQ(call->scored(), scored);
    } else {
      EXPECT_TRUE(absl::IsDeadlineExceeded(call->status)) << call->status;
    }
  }
}

TEST_F(RankPipelineTest, WhatCannotMeetItsDeadlineIsRefusedAtOnce) {
  absl::Notification release;
  Interrupt([&] { release.WaitForNotification(); });
  const auto ahead = NewCall(640, absl::Hours(1));
  SetTileCost(absl::Seconds(1));
  Start(*ahead);  // 11 s of work
  const auto hopeless = NewCall(640, absl::Seconds(20));
  Start(*hopeless);
  ASSERT_TRUE(hopeless->done.HasBeenNotified());
  EXPECT_TRUE(absl::IsResourceExhausted(hopeless->status));
  EXPECT_THAT(std::string(hopeless->status.message()),
              HasSubstr("would take 22s, behind 11s of work"));
  // Twice as long to go; or with little to do, so that it goes first.
  const auto patient = NewCall(640, absl::Seconds(60));
  const auto little = NewCall(64, absl::Seconds(20));
  for (Call* call : {patient.get(), little.get()}) {
    Start(*call);
    EXPECT_FALSE(call->done.HasBeenNotified());
  }
  release.Notify();
  for (Call* call : {ahead.get(), patient.get(), little.get()}) {
    call->done.WaitForNotification();
    EXPECT_TRUE(call->status.ok()) << call->status;
  }
}

}  // namespace
}  // namespace qlarank::testing

// Rank requests on a worker that the test stops wherever it likes: no test
// depends on how fast it is.
#ifndef QLARANK_TESTS_SERVER_RANK_RANK_PIPELINE_TESTING_H_
#define QLARANK_TESTS_SERVER_RANK_RANK_PIPELINE_TESTING_H_

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/partition/partitions.h"
#include "server/rank/rank_pipeline.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

inline constexpr size_t kCandidates = 20'000;

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

// Clocks that stand still until the test moves them.
class TestClock {
 public:
  // A worker is busy for so long, and has a processor for a part of it.
  void Advance(absl::Duration steady, absl::Duration processor) {
    steady_ns_ += absl::ToInt64Nanoseconds(steady);
    processor_ns_ += absl::ToInt64Nanoseconds(processor);
  }

  WorkClock Get() {
    return {[this] { return absl::Nanoseconds(steady_ns_.load()); },
            [this] { return absl::Nanoseconds(processor_ns_.load()); }};
  }

 private:
  std::atomic<int64_t> steady_ns_ = 0, processor_ns_ = 0;
};

class RankPipelineTest : public ::testing::Test {
 protected:
  struct Call {
    v1::RankRequest request;
    v1::RankResponse response;
    RankCall::Context context;
    RankCall::CancelFlag cancelled{false};
    std::function<void()> at_end;  // on the worker, before `done`
    absl::Status status;
    absl::Notification done;

    size_t scored() const {
      size_t scored = 0;
      for (const float score : response.scores()) scored += !std::isnan(score);
      return scored / 3;  // tasks
    }
  };

  RankPipelineTest() {
    auto registry =
        Registry::Load(options_.models, *store_, metrics_.info);
    EXPECT_TRUE(registry.ok()) << registry.status();
    models_ = std::make_unique<ModelRegistry>(*registry);
    states_ = std::make_unique<UserStates>(*store_, metrics_,
                                           UserStates::Options());
    scheduler_ = std::make_unique<TileScheduler>(1, clock_.Get());
    rank_models_ = std::make_unique<RankModels>(*models_, *states_,
                                                metrics_.rank, *scheduler_);
    partitions_ = *Partitions::Create(*store_, **registry, *states_, metrics_, {});
    rank_ = std::make_unique<RankPipeline>(*rank_models_, *partitions_, *scheduler_,
                                           slots_, metrics_, options_.limits);
  }

  std::unique_ptr<Call> NewCall(size_t candidates, absl::Duration timeout) {
    auto call = std::make_unique<Call>();
    call->request =
        MakeRank(model().bundle(), "user",
                 CatalogueItems(model().bundle(), candidates));
    call->context.arrival = absl::Now();
    call->context.deadline = call->context.arrival + timeout;
    call->context.cancelled = &call->cancelled;
    return call;
  }

  void Start(Call& call) {
    const auto done = [&call](absl::Status status, RequestSlot slot) {
      { const RequestSlot given_back = std::move(slot); }
      call.status = std::move(status);
      if (call.at_end) call.at_end();
      call.done.Notify();
    };
    auto admission = rank_->Admit(call.request, call.context);
    if (!admission.ok()) return done(admission.status(), RequestSlot());
    rank_->Start(*std::move(admission), call.request, call.response,
                 call.context, done);
  }

  RankModel& model() {
    return *rank_models_->Of(models_->Current()->models()[0]);
  }

  // What the first tile will have cost.
  void SetTileCost(absl::Duration cost) {
    model().tile_cost.Observe(cost);
  }

  // Requests that ended so.
  double CountOf(absl::StatusCode code) {
    return model().metrics->requests.Count(code);
  }

  // Before anything that is expected to have more to do.
  void Interrupt(std::function<void()> act) {
    scheduler_->Submit(std::make_shared<Interruption>(std::move(act)), 0,
                       absl::Now(), absl::InfiniteFuture(),
                       absl::ZeroDuration());
  }

  // The worker does nothing from the constructor to Release, or the end of this.
  class HeldWorker {
   public:
    explicit HeldWorker(RankPipelineTest& test) {
      test.Interrupt([this] {
        held_.Notify();
        released_.WaitForNotification();
        left_.Notify();
      });
      // Else what comes first might end before the worker holds on to this.
      held_.WaitForNotification();
    }
    ~HeldWorker() {
      Release();
      left_.WaitForNotification();
    }

    void Release() {
      if (!released_.HasBeenNotified()) released_.Notify();
    }

   private:
    absl::Notification held_, released_, left_;
  };

  // Stops the worker between two tiles of `call`, some of which it has scored,
  // does `act`, and returns how many; 0 when it ended before.
  size_t InterruptWhileScoring(const Call& call, std::function<void()> act) {
    size_t scored = 0;
    while (scored == 0 && !call.done.HasBeenNotified()) {
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
  FairQuota slots_{100};
  TestClock clock_;
  std::unique_ptr<ModelRegistry> models_;
  std::unique_ptr<UserStates> states_;
  std::unique_ptr<RankModels> rank_models_;
  std::unique_ptr<Partitions> partitions_;
  std::unique_ptr<RankPipeline> rank_;
  // Before what its jobs use.
  std::unique_ptr<TileScheduler> scheduler_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_RANK_RANK_PIPELINE_TESTING_H_

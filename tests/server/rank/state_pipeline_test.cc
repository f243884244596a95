// Requests for states that share the workers and the slots with others.
#include "server/rank/state_pipeline.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/work/overload.h"
#include "tests/server/rank/rank_pipeline_testing.h"

namespace qlarank::testing {
namespace {

class StatePipelineTest : public RankPipelineTest {
 protected:
  struct Reading {
    v1::GetUserStateRequest request;
    v1::GetUserStateResponse response;
    size_t place = 0;  // among all that ended
    absl::Status status;
    absl::Notification done;
  };

  std::unique_ptr<Reading> Read(const std::string& client) {
    auto reading = std::make_unique<Reading>();
    reading->request.set_user_id("user");
    RankCall::Context context;
    context.arrival = absl::Now();
    context.client = client;
    state_.Start(reading->request, reading->response, context,
                 [this, to = reading.get()](absl::Status status,
                                            RequestSlot slot) {
                   { const RequestSlot given_back = std::move(slot); }
                   to->status = std::move(status);
                   to->place = ++ended_;
                   to->done.Notify();
                 });
    return reading;
  }

  StatePipeline state_{*rank_models_, *partitions_, *scheduler_,
                       slots_,   metrics_,     options_.limits};
  size_t ended_ = 0;  // the worker's
};

TEST_F(StatePipelineTest, OneTooManyIsRefusedWithAHint) {
  HeldWorker held(*this);
  std::vector<std::unique_ptr<Reading>> flood;
  for (int i = 0; i < 75; ++i) flood.push_back(Read("flood"));
  const auto refused = Read("flood");
  EXPECT_TRUE(refused->done.HasBeenNotified());
  const auto other = Read("other");
  EXPECT_FALSE(other->done.HasBeenNotified());
  held.Release();
  refused->done.WaitForNotification();
  EXPECT_TRUE(absl::IsResourceExhausted(refused->status)) << refused->status;
  EXPECT_TRUE(RetryDelay(refused->status).has_value());
  other->done.WaitForNotification();
  EXPECT_TRUE(other->status.ok()) << other->status;
  for (const auto& reading : flood) reading->done.WaitForNotification();
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
}

TEST_F(StatePipelineTest, AFloodLeavesAnotherClientTheirShareOfTheWorker) {
  HeldWorker held(*this);
  SetTileCost(absl::Milliseconds(1));
  std::vector<std::unique_ptr<Reading>> flood;
  for (int i = 0; i < 50; ++i) flood.push_back(Read("flood"));
  const auto other = Read("other");
  held.Release();
  other->done.WaitForNotification();
  for (const auto& reading : flood) reading->done.WaitForNotification();
  EXPECT_LE(other->place, 3);
}

}  // namespace
}  // namespace qlarank::testing

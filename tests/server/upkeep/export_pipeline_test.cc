#include "server/upkeep/export_pipeline.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/memory_state_store.h"

namespace qlarank::testing {
namespace {

class ExportPipelineTest : public ::testing::Test {
 protected:
  ExportPipelineTest() {
    UserAppend append;
    append.user_id = "ada";
    append.head_after.incarnation = 7;
    append.head_after.last_sequence = 2;
    append.events.resize(2);
    EXPECT_TRUE(store_.AppendEvents({append}).ok());
  }

  absl::StatusOr<bool> Next(ExportPipeline::Export& running,
                            v1::ExportEventsResponse& message) {
    absl::StatusOr<bool> result;
    absl::Notification done;
    pipeline_.Next(running, message, [&](absl::StatusOr<bool> more) {
      result = std::move(more);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  MemoryStateStore store_;
  Metrics metrics_;
  ExportPipeline pipeline_{store_, metrics_};
};

TEST_F(ExportPipelineTest, ReadsAndCounts) {
  auto begun = pipeline_.Begin({});
  ASSERT_TRUE(begun.ok()) << begun.status();
  v1::ExportEventsResponse message;
  const auto more = Next(**begun, message);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_FALSE(*more);
  ASSERT_EQ(message.users_size(), 1);
  EXPECT_EQ(message.users(0).events_size(), 2);
  EXPECT_EQ(metrics_.exports.events.Value(), 2);
}

TEST_F(ExportPipelineTest, RunsSoManyAtATime) {
  std::vector<std::unique_ptr<ExportPipeline::Export>> running;
  for (int i = 0; i < ExportPipeline::kMaxExports; ++i) {
    auto begun = pipeline_.Begin({});
    ASSERT_TRUE(begun.ok()) << begun.status();
    running.push_back(*std::move(begun));
  }
  for (int i = 0; i < 2; ++i) {  // one that is refused has no place
    EXPECT_TRUE(absl::IsResourceExhausted(pipeline_.Begin({}).status()));
    EXPECT_EQ(metrics_.exports.running.Value(), ExportPipeline::kMaxExports);
  }
  running.pop_back();
  EXPECT_EQ(metrics_.exports.running.Value(), ExportPipeline::kMaxExports - 1);
  EXPECT_TRUE(pipeline_.Begin({}).ok());
}

}  // namespace
}  // namespace qlarank::testing

#include "server/upkeep/admin_pipeline.h"

#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

TEST(AdminPipelineTest, MakesOneCopyAtATime) {
  absl::Notification begun, go;
  FaultyStateStore store;
  store.checkpoint = [&](const std::string& path) {
    if (path.back() == '1') {
      begun.Notify();
      go.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const TempDir folder;
  StoreOptions options;
  options.checkpoint_path = folder.Path("checkpoints");
  options.backup_path = folder.Path("backups");
  Metrics metrics;
  AdminPipeline pipeline(store, metrics.copies, options);

  v1::CheckpointRequest one, two;
  one.set_name("1");
  two.set_name("2");
  v1::CheckpointResponse one_made, two_made;
  const v1::BackupRequest to_backups;
  v1::BackupResponse backup_made;
  absl::Status first = absl::UnknownError("not done");
  absl::Notification first_done;
  pipeline.Start(one, one_made, [&](absl::Status status) {
    first = std::move(status);
    first_done.Notify();
  });
  begun.WaitForNotification();
  // Refused at once, whichever copy it is.
  absl::Status second, backup;
  pipeline.Start(two, two_made, [&](absl::Status status) {
    second = std::move(status);
  });
  pipeline.Start(to_backups, backup_made, [&](absl::Status status) {
    backup = std::move(status);
  });
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_TRUE(absl::IsResourceExhausted(backup)) << backup;
  go.Notify();
  first_done.WaitForNotification();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_EQ(one_made.path(), options.checkpoint_path + "/1");
  // Who has the reply may ask for the next.
  absl::Notification third_done;
  pipeline.Start(two, two_made, [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    third_done.Notify();
  });
  third_done.WaitForNotification();
}

}  // namespace
}  // namespace qlarank::testing

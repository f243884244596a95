// States are made anew for what the configuration names, and for what was loaded
// while a server ran.
#include "server/rebuild_command.h"

#include <filesystem>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "server/pipeline.h"
#include "server/services.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;

class RebuildCommandTest : public ::testing::Test {
 protected:
  RebuildCommandTest() {
    options_.models[0].name = "m";
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.model_base_path = dir_.Path("bundles");
    fs::create_directories(dir_.Path("bundles/m"));
    fs::copy(GoldenModel("all_l1_plain").path, dir_.Path("bundles/m/2"));
  }

  // As a server does that serves and is stopped; the fingerprint that states of
  // version 2 are stored under.
  std::string AppendAndLoad() {
    auto store = *OpenConfiguredStore(options_.store);
    Metrics metrics;
    auto pipeline = *Pipeline::Create(options_, *store, metrics);
    const auto append =
        MakeAppend(*LoadGolden(options_.models[0]), "user", 1, 100);
    absl::Notification appended, loaded;
    pipeline->ingest().Append(
        append, absl::Now(), {}, IngestPipeline::OnFull::kWait,
        [&](const AppendResult& result) {
          EXPECT_TRUE(result.status.ok()) << result.status;
          appended.Notify();
        });
    appended.WaitForNotification();
    v1::LoadModelRequest load;
    load.set_model_name("m");
    load.set_model_version(2);
    v1::LoadModelResponse response;
    pipeline->rollout().Start(load, response, [&](absl::Status status) {
      EXPECT_TRUE(status.ok()) << status;
      loaded.Notify();
    });
    loaded.WaitForNotification();
    EXPECT_TRUE(pipeline->WaitUntilFolded(absl::Seconds(60)));
    return pipeline->models()
        .Current()
        ->Find("m", 2)
        ->engine->state_fingerprint();
  }

  // Whether there is a snapshot of all 100 events.
  bool HasState(const std::string& fingerprint) {
    auto store = *OpenConfiguredStore(options_.store);
    EXPECT_TRUE(store->OpenFingerprint(fingerprint).ok());
    const auto snapshot = store->GetSnapshot(fingerprint, "user");
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->has_value() && (*snapshot)->folded_sequence == 100;
  }
  void Drop(const std::string& fingerprint) {
    auto store = *OpenConfiguredStore(options_.store);
    ASSERT_TRUE(store->DropFingerprint(fingerprint).ok());
  }

  const TempDir dir_;
  ServerOptions options_ = TestOptions(GoldenModel("dot_l1_plain"));
};

TEST_F(RebuildCommandTest, KnowsWhatWasLoadedByRequest) {
  const std::string fingerprint = AppendAndLoad();
  Drop(fingerprint);
  ASSERT_FALSE(HasState(fingerprint));
  const absl::Status rebuilt = RebuildConfiguredStates(options_);
  EXPECT_TRUE(rebuilt.ok()) << rebuilt;
  EXPECT_TRUE(HasState(fingerprint));
}

// As when serving, which goes on without it.
TEST_F(RebuildCommandTest, OneWhoseBundleIsGoneIsLeftOut) {
  const std::string fingerprint = AppendAndLoad();
  Drop(fingerprint);
  fs::remove_all(dir_.Path("bundles/m/2"));
  const absl::Status rebuilt = RebuildConfiguredStates(options_);
  EXPECT_TRUE(rebuilt.ok()) << rebuilt;
  EXPECT_FALSE(HasState(fingerprint));
}

}  // namespace
}  // namespace qlarank::testing

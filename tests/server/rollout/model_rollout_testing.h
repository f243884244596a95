// A server's models behind the RPCs, with a folder of bundles that may be loaded.
#ifndef QLARANK_TESTS_SERVER_ROLLOUT_MODEL_ROLLOUT_TESTING_H_
#define QLARANK_TESTS_SERVER_ROLLOUT_MODEL_ROLLOUT_TESTING_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/models/model_page.h"
#include "server/pipeline.h"
#include "tests/model/bundle_copy.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

// A folder with bundles of model "m": 2 and 3 are whole, 4 has golden requests
// that are not its own. The configuration has version 1, of another bundle.
class BundlesOfM : public BundleCopy {
 protected:
  BundlesOfM() : BundleCopy(GoldenModel("all_l1_plain").path) {
    std::filesystem::create_directories(base() + "/m");
    for (const char* version : {"2", "3"}) {
      std::filesystem::copy(folder_, base() + "/m/" + version);
    }
    EditGolden([](auto& requests) {
      auto* candidate = requests.mutable_cases(3)->mutable_candidates(3);
      candidate->set_scores(0, candidate->scores(0) + .1);
    });
    std::filesystem::copy(folder_, base() + "/m/4");
  }

  std::string base() const { return dir_.Path("base"); }
};

class ModelRolloutTest : public ::testing::Test, protected BundlesOfM {
 protected:
  ModelRolloutTest() {
    options_ = TestOptions(GoldenModel("dot_l1_plain"));
    options_.models[0].name = "m";
    options_.models[0].version = 1;
    options_.model_base_path = base();
    Start();
  }

  void Start() {
    pipeline_ = nullptr;
    auto pipeline = Pipeline::Create(options_, store_, metrics_);
    start_ = pipeline.status();
    if (pipeline.ok()) pipeline_ = *std::move(pipeline);
  }

  template <typename Request, typename Response>
  absl::Status Call(const Request& request, Response& response) {
    absl::Status result;
    absl::Notification done;
    pipeline_->rollout().Start(request, response, [&](absl::Status status) {
      result = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }
  absl::Status Load(uint64_t version, bool validate_only = false,
                    const std::string& path = "") {
    v1::LoadModelRequest request;
    request.set_model_name("m");
    request.set_model_version(version);
    request.set_path(path);
    request.set_validate_only(validate_only);
    v1::LoadModelResponse response;
    return Call(request, response);
  }
  absl::Status Unload(uint64_t version, bool validate_only = false) {
    v1::UnloadModelRequest request;
    request.set_model_name("m");
    request.set_model_version(version);
    request.set_validate_only(validate_only);
    v1::UnloadModelResponse response;
    return Call(request, response);
  }
  absl::Status Set(const std::string& label, uint64_t version,
                   bool validate_only = false) {
    v1::SetLabelRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_model_version(version);
    request.set_validate_only(validate_only);
    if (min_coverage_) request.set_min_coverage(*min_coverage_);
    v1::SetLabelResponse response;
    return Call(request, response);
  }

  // Returns when owners have folded events 1 ... `last` of the user.
  void Append(const std::string& user, uint64_t last) {
    const auto bundle = LoadGolden(options_.models[0]);
    absl::Notification done;
    const auto request = MakeAppend(*bundle, user, 1, last);
    pipeline_->ingest().Append(
        request, absl::Now(), {}, IngestPipeline::OnFull::kWait,
        [&](const AppendResult& result) {
          EXPECT_TRUE(result.status.ok()) << result.status;
          done.Notify();
        });
    done.WaitForNotification();
    ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  }

  std::shared_ptr<const Registry> registry() {
    return pipeline_->models().Current();
  }
  // What a request without a version gets.
  uint64_t Usual() { return (*registry()->Resolve("", 0))->version; }
  // "1 serving, 4 failed".
  std::string Listed() {
    std::string listed;
    const auto page = PageOfModels(*registry(), "", 0, "");
    EXPECT_TRUE(page.ok()) << page.status();
    for (const v1::Model& model : page->models) {
      absl::StrAppend(&listed, listed.empty() ? "" : ", ", model.version(), " ",
                      v1::ModelState_Name(model.state()).substr(12));
    }
    return listed;
  }

  FaultyStateStore store_;
  Metrics metrics_;
  ServerOptions options_;
  std::optional<double> min_coverage_ = 0;
  absl::Status start_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_ROLLOUT_MODEL_ROLLOUT_TESTING_H_

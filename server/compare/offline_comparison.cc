#include "server/compare/offline_comparison.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "model/canary.h"
#include "model/engine.h"
#include "prometheus/registry.h"
#include "server/catalogue/live_catalogue.h"
#include "server/metrics/catalogue_metrics.h"
#include "server/models/event_features.h"
#include "server/request_log/frames.h"
#include "server/work/field_error.h"
#include "state_store/user_cache.h"

namespace qlarank {
namespace {

// As good as any order to people, and by time.
absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, "requests-") &&
        (absl::EndsWith(name, ".pb") || absl::EndsWith(name, ".pb.part"))) {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": no requests-*.pb: not the folder of a request log, or "
                "nothing was logged"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One of the two, with the states that it knows already.
class Side {
 public:
  Side(LoadedModelPtr model, const EventLog& log, size_t cache_bytes)
      : rescorer_(std::move(model), log),
        states_({.budget_bytes = cache_bytes}) {}

  Outcome Score(const v1::LoggedRequest& record, CandidateScores& scores) {
    const auto go_on = [] { return true; };
    const std::string& user_id = record.request().user_id();
    const auto known = states_.Lookup(user_id);
    KnownState state;
    const Outcome outcome = rescorer_.BringState(
        record, known == nullptr ? KnownState() : *known, go_on, state);
    if (outcome != Outcome::kCompared) return outcome;
    const size_t bytes = sizeof(state) + state.state->size_bytes();
    states_.Insert(user_id, std::make_shared<const KnownState>(state), bytes);
    return rescorer_.Score(record, *state.state, go_on, scores);
  }
  const std::string& why() const { return rescorer_.why(); }

 private:
  Rescorer rescorer_;
  UserCache<KnownState> states_;
};

class Comparer {
 public:
  Comparer(const LoadedModelPtr& first, const LoadedModelPtr& second,
           const EventLog& log, const OfflineOptions& options)
      : first_(first, log, options.cache_bytes),
        second_(second, log, options.cache_bytes) {}

  void Take(const v1::LoggedRequest& record) {
    CandidateScores first, second;
    Side* at = &first_;
    Outcome outcome = first_.Score(record, first);
    if (outcome == Outcome::kCompared) {
      at = &second_;
      outcome = second_.Score(record, second);
    }
    if (outcome == Outcome::kCompared) {
      result_.difference.Add(
          Compare(first, second, record.request().top_k()));
    } else if (outcome == Outcome::kUnfit || outcome == Outcome::kFailed) {
      result_.first_reasons.try_emplace(outcome, at->why());
    }
    ++result_.requests[outcome];
  }

  OfflineComparison TakeResult() { return std::move(result_); }

 private:
  Side first_, second_;
  OfflineComparison result_;
};

}  // namespace

absl::StatusOr<LoadedModelPtr> LoadToCompare(const std::string& folder,
                                             StateStore& store) {
  if (absl::Status status = CheckProcessor(); !status.ok()) return status;
  const auto within = [&](const absl::Status& status) {
    return Within(absl::StrCat(folder, ": "), status);
  };
  auto bundle = Bundle::Load(folder);
  if (!bundle.ok()) return within(bundle.status());
  prometheus::Registry nobodys;
  CatalogueMetrics metrics(nobodys);
  const auto catalogue = LiveCatalogue::Open(store, metrics);
  if (!catalogue.ok()) return within(catalogue.status());
  Engine::Options options;
  options.most_added_items = (*catalogue)->version();
  auto engine = Engine::Create(*std::move(bundle), options);
  if (!engine.ok()) return within(engine.status());
  const model::v1::ModelSpec& spec = (*engine)->bundle().spec();
  auto features = EventFeatures::Of(store, spec.event_features());
  if (!features.ok()) return within(features.status());
  LoadedModelPtr model =
      MakeLoadedModel(spec.name(), spec.version(), *std::move(engine),
                      *std::move(features), absl::Now());
  const absl::Status joined =
      (*catalogue)->Join(model->name, model->version, model->engine);
  if (!joined.ok()) return within(joined);
  return model;
}

absl::StatusOr<OfflineComparison> CompareOffline(
    const LoadedModelPtr& first, const LoadedModelPtr& second,
    const std::string& folder, const EventLog& log,
    const OfflineOptions& options) {
  const auto files = FilesOf(folder);
  if (!files.ok()) return files.status();
  uint64_t all = 0, before = 0, requests = 0;
  for (const std::string& path : *files) {
    std::error_code error;
    all += std::filesystem::file_size(path, error);
  }
  Comparer comparer(first, second, log, options);
  for (const std::string& path : *files) {
    std::ifstream file(path, std::ios::binary);
    RecordReader reader(file);
    std::string bytes;
    while (reader.Next(bytes)) {
      v1::LoggedRequest record;
      if (!record.ParseFromString(bytes)) {
        return absl::DataLossError(
            absl::StrCat(path, ": a record does not parse"));
      }
      if (options.model_name.empty() ||
          record.response().model_name() == options.model_name) {
        comparer.Take(record);
      }
      if (options.on_progress != nullptr) {
        options.on_progress(static_cast<double>(before + reader.read_bytes()) /
                                static_cast<double>(all),
                            ++requests);
      }
    }
    before += reader.file_bytes();
  }
  return comparer.TakeResult();
}

}  // namespace qlarank

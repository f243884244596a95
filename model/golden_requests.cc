#include "model/golden_requests.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "model/sha256.h"
#include "model/text_file.h"

namespace qlarank {
namespace {

using google::protobuf::RepeatedField;
using model::v1::GoldenCandidate;
using model::v1::GoldenCase;
using model::v1::GoldenEvent;
using model::v1::GoldenRequests;
using model::v1::ModelSpec;

// What a server takes of others: the years 1 to 9999, and features up to 1e9.
constexpr int64_t kLeastTimeUs = -62'135'596'800'000'000;
constexpr int64_t kMostTimeUs = 253'402'300'799'999'999;
constexpr float kMostFeature = 1e9f;

template <typename... Parts>
absl::Status Refused(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckTime(int64_t time_us) {
  if (time_us >= kLeastTimeUs && time_us <= kMostTimeUs) {
    return absl::OkStatus();
  }
  return Refused("time_us: ", time_us, "; expected one in the years 1 to 9999");
}

absl::Status CheckFeatures(const RepeatedField<float>& features, int wanted) {
  if (features.size() != wanted) {
    return Refused("features: ", features.size(), " of them; the model has ",
                   wanted);
  }
  for (const float value : features) {
    if (!(std::abs(value) <= kMostFeature)) {
      return Refused("features: ", value, "; expected -1e9 to 1e9");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEvent(const GoldenEvent& event, const ModelSpec& spec) {
  const auto& actions = spec.actions();
  if (std::find(actions.begin(), actions.end(), event.action()) ==
      actions.end()) {
    return Refused("action: \"", event.action(),
                   "\"; the model has no such action");
  }
  absl::Status status = CheckTime(event.time_us());
  status.Update(CheckFeatures(event.features(), spec.event_features_size()));
  return status;
}

absl::Status CheckCandidate(const GoldenCandidate& candidate,
                            const ModelSpec& spec) {
  const auto& scores = candidate.scores();
  if (scores.size() != spec.tasks_size()) {
    return Refused("scores: ", scores.size(), " of them; the model has ",
                   spec.tasks_size(), " tasks");
  }
  for (const double score : scores) {
    if (!(std::abs(score) <= std::numeric_limits<float>::max())) {
      return Refused("scores: ", score, "; expected what a float32 can be");
    }
  }
  return CheckFeatures(candidate.features(), spec.candidate_features_size());
}

absl::Status CheckContext(const GoldenCase& golden, const ModelSpec& spec) {
  absl::flat_hash_set<absl::string_view> left;
  for (const auto& feature : spec.context_features()) {
    left.insert(feature.name());
  }
  for (const auto& context : golden.context()) {
    if (left.erase(context.feature()) == 0) {
      return Refused("context: \"", context.feature(),
                     "\"; expected the model's context features, each once");
    }
  }
  return absl::OkStatus();
}

absl::Status Within(const absl::Status& status, absl::string_view list,
                    int index) {
  if (status.ok()) return status;
  return Refused(list, "[", index, "].", status.message());
}

absl::Status CheckCase(const GoldenCase& golden, const ModelSpec& spec) {
  if (golden.candidates().empty()) {
    return Refused("candidates: none; at least one is needed");
  }
  absl::Status status = CheckTime(golden.time_us());
  status.Update(CheckContext(golden, spec));
  for (int i = 0; i < golden.events_size(); ++i) {
    status.Update(Within(CheckEvent(golden.events(i), spec), "events", i));
  }
  for (int i = 0; i < golden.candidates_size(); ++i) {
    status.Update(
        Within(CheckCandidate(golden.candidates(i), spec), "candidates", i));
  }
  return status;
}

absl::Status Check(const GoldenRequests& requests, const ModelSpec& spec) {
  if (requests.fingerprint() != spec.fingerprint()) {
    return Refused("fingerprint: \"", requests.fingerprint(),
                   "\"; the bundle's is ", spec.fingerprint());
  }
  const auto name = [](std::string* out, const model::v1::Task& task) {
    out->append(task.name());
  };
  const std::string given = absl::StrJoin(requests.tasks(), ", ");
  const std::string wanted = absl::StrJoin(spec.tasks(), ", ", name);
  if (requests.tasks_size() != spec.tasks_size() || given != wanted) {
    return Refused("tasks: ", given, "; the model has ", wanted);
  }
  if (requests.cases().empty()) {
    return Refused("cases: none; at least one is needed");
  }
  for (int i = 0; i < requests.cases_size(); ++i) {
    const GoldenCase& golden = requests.cases(i);
    if (absl::Status status = CheckCase(golden, spec); !status.ok()) {
      return Refused("cases[", i, "] (\"", golden.name(), "\"): ",
                     status.message());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GoldenRequests> LoadGoldenRequests(const std::string& folder,
                                                  const ModelSpec& spec) {
  GoldenRequests requests;
  if (spec.golden_sha256().empty()) return requests;
  const std::string path = absl::StrCat(folder, "/golden.textproto");
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return text.status();
  if (const std::string digest = Sha256Hex(*text);
      digest != spec.golden_sha256()) {
    return absl::DataLossError(
        absl::StrCat(path, ": SHA-256 is ", digest, "; model.textproto says ",
                     spec.golden_sha256(),
                     ". The file is damaged or of another bundle"));
  }
  absl::Status status = ParseTextproto(path, *text, requests);
  if (!status.ok()) return status;
  status = Check(requests, spec);
  if (!status.ok()) return Refused(path, ": ", status.message());
  return requests;
}

}  // namespace qlarank

#include "server/rank/version_before.h"

#include <string>

#include "absl/algorithm/container.h"
#include "absl/types/span.h"

namespace qlarank {
namespace {

// What the numbers of a candidate mean, which are told apart by their places.
absl::Span<const std::string* const> NumbersOf(const LoadedModel& model,
                                               const v1::RankRequest& request) {
  const auto& names = model.bundle().spec().candidate_features();
  return {names.data(), request.candidate_categories().empty()
                            ? static_cast<size_t>(names.size())
                            : model.candidate_categories.num_numbers()};
}

// The same of scores in a reply to a request that names no tasks.
bool HaveSameTasks(const LoadedModel& a, const LoadedModel& b) {
  return absl::c_equal(a.bundle().spec().tasks(), b.bundle().spec().tasks(),
                       [](const auto& task, const auto& other) {
                         return task.name() == other.name();
                       });
}

// The version that answered before this one did: before "stable" pointed to it,
// or whom all follow who are not in its traffic. 0: none.
uint64_t InPlaceOf(uint64_t version, const ModelLabels& labels) {
  const uint64_t stable = labels.VersionOf(kStableLabel);
  if (stable == version) return labels.before_stable;
  const bool has_traffic =
      labels.traffic && labels.VersionOf(labels.traffic->label) == version;
  return has_traffic ? stable : 0;
}

// What a request says by name is checked by whoever plans it.
bool TakesForTheSame(const LoadedModel& a, const LoadedModel& b,
                     const v1::RankRequest& request) {
  return a.items_are_texts == b.items_are_texts &&
         absl::c_equal(NumbersOf(a, request), NumbersOf(b, request),
                       [](const std::string* name, const std::string* other) {
                         return *name == *other;
                       }) &&
         (request.tasks_size() > 0 || HaveSameTasks(a, b));
}

}  // namespace

LoadedModelPtr VersionBefore(const Registry& registry, const LoadedModel& model,
                             const v1::RankRequest& request) {
  if (request.model_version() != 0 || !request.model_label().empty()) {
    return nullptr;
  }
  const uint64_t version =
      InPlaceOf(model.version, registry.LabelsOf(model.name));
  if (version == 0) return nullptr;
  LoadedModelPtr before = registry.Find(model.name, version);
  if (before == nullptr || !TakesForTheSame(model, *before, request)) {
    return nullptr;
  }
  return before;
}

}  // namespace qlarank

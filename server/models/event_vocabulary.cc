#include "server/models/event_vocabulary.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/models/load_engine.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

// A message is read by people, and travels in the metadata of a reply.
constexpr size_t kMaxListed = 8;

// "a", "b" and 3 more.
template <typename Names>
std::string Listed(const Names& names) {
  const size_t size = names.size();
  const size_t listed = std::min(size, kMaxListed);
  std::string text = absl::StrJoin(
      names.begin(), names.begin() + listed, ", ",
      [](std::string* out, const std::string& name) {
        absl::StrAppend(out, Quoted(name));
      });
  if (size > listed) absl::StrAppend(&text, " and ", size - listed, " more");
  return text;
}

std::string LabelOf(const LoadedModel& model) {
  return ModelLabel(model.name, model.version);
}

// model "a" version 1 has "view", "buy"; model "b" version 1 has ...
std::string KnownActions(absl::Span<const LoadedModelPtr> models) {
  std::vector<LoadedModelPtr> sorted(models.begin(), models.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::tie(a->name, a->version) < std::tie(b->name, b->version);
  });
  const size_t listed = std::min(sorted.size(), kMaxListed);
  std::string text = absl::StrJoin(
      sorted.begin(), sorted.begin() + listed, "; ",
      [](std::string* out, const LoadedModelPtr& model) {
        absl::StrAppend(out, LabelOf(*model), " has ",
                        Listed(model->bundle().spec().actions()));
      });
  if (sorted.size() > listed) {
    absl::StrAppend(&text, "; there are ", sorted.size() - listed,
                    " models more");
  }
  return text;
}

}  // namespace

EventVocabulary::EventVocabulary(absl::Span<const LoadedModelPtr> models,
                                 const LoadedModel& default_model,
                                 UnknownActions unknown)
    : unknown_(unknown),
      known_actions_(KnownActions(models)),
      default_label_(LabelOf(default_model)) {
  const model::v1::ModelSpec& spec = default_model.bundle().spec();
  if (spec.actions_size() > 0) default_action_ = spec.actions(0);
  event_features_ = {spec.event_features().begin(),
                     spec.event_features().end()};
  for (const LoadedModelPtr& model : models) {
    const auto& actions = model->bundle().spec().actions();
    actions_.insert(actions.begin(), actions.end());
  }
}

absl::Status EventVocabulary::CheckAction(absl::string_view action) const {
  if (action.empty() || actions_.contains(action)) return absl::OkStatus();
  if (unknown_ == UnknownActions::kRefuse) {
    return FieldError(
        "action", Quoted(action),
        absl::StrCat("no served model has it: ", known_actions_));
  }
  if (action.size() > kMaxActionBytes) {
    return FieldError(
        "action", Quoted(action),
        absl::StrCat("must be at most ", kMaxActionBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status EventVocabulary::CheckNumFeatures(size_t num_features) const {
  if (num_features == event_features_.size()) return absl::OkStatus();
  if (event_features_.empty()) {
    return FieldError("features", absl::StrCat(num_features, " values"),
                      absl::StrCat("must be none: ", default_label_,
                                   ", the default, has no event features"));
  }
  return FieldError(
      "features", absl::StrCat(num_features, " values"),
      absl::StrCat("must be ", event_features_.size(), ", the event features ",
                   "of ", default_label_, ", the default: ",
                   Listed(event_features_)));
}

EventVocabulary::Gaps EventVocabulary::GapsOf(const Bundle& bundle) const {
  Gaps gaps;
  for (const std::string& action : actions_) {
    if (bundle.ActionIndex(action) == Bundle::kUnknownAction) {
      gaps.actions.push_back(action);
    }
  }
  for (const std::string& feature : bundle.spec().event_features()) {
    if (std::count(event_features_.begin(), event_features_.end(), feature) ==
        0) {
      gaps.features.push_back(feature);
    }
  }
  std::sort(gaps.actions.begin(), gaps.actions.end());
  std::sort(gaps.features.begin(), gaps.features.end());
  return gaps;
}

}  // namespace qlarank

#include "server/rollout/served_models.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "qlarank/storage/v1/storage.pb.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

absl::Status Damaged(absl::string_view why) {
  return absl::DataLossError(
      absl::StrCat("mark ", Quoted(kServedModelsMark), ", which models are "
                   "loaded and labelled: ", why));
}

}  // namespace

absl::StatusOr<ServedModels> ReadServedModels(const EventLog& store) {
  const absl::StatusOr<std::optional<std::string>> value =
      store.GetMark(kServedModelsMark);
  if (absl::IsDataLoss(value.status())) {
    return Damaged(value.status().message());
  }
  if (!value.ok()) return value.status();
  storage::v1::ServedModelsRecord record;
  if (!record.ParseFromString(value->value_or(""))) {
    return Damaged("does not parse");
  }
  ServedModels served;
  for (const auto& loaded : record.loaded()) {
    served.loaded.push_back({loaded.name(), loaded.version(), loaded.path(),
                             loaded.migrated(), loaded.state_fingerprint()});
  }
  for (const auto& labels : record.labels()) {
    ModelLabels& of_model = served.labels[labels.model_name()];
    for (const auto& label : labels.labels()) {
      of_model.versions[label.name()] = label.version();
    }
    for (const auto& move : labels.pending()) {
      of_model.pending[move.name()] = {move.version(), move.min_coverage()};
    }
    of_model.before_stable = labels.before_stable();
    of_model.revision = labels.revision();
    of_model.newest_watched = labels.newest_watched();
    if (labels.has_traffic()) {
      const auto& traffic = labels.traffic();
      of_model.traffic = {traffic.label(), traffic.share(),
                          {traffic.user_ids().begin(),
                           traffic.user_ids().end()}};
    }
    if (labels.has_shadow()) {
      const auto& shadow = labels.shadow();
      of_model.shadow = {shadow.label(), shadow.version(), shadow.sample()};
    }
  }
  for (const auto& change : record.answered()) {
    served.answered.Add({change.request_id(), change.digest()},
                        change.labels());
  }
  return served;
}

absl::Status WriteServedModels(const ServedModels& served, EventLog& store) {
  storage::v1::ServedModelsRecord record;
  for (const LoadedByRequest& loaded : served.loaded) {
    auto& to = *record.add_loaded();
    to.set_name(loaded.name);
    to.set_version(loaded.version);
    to.set_path(loaded.path);
    to.set_migrated(loaded.migrated);
    to.set_state_fingerprint(loaded.state_fingerprint);
  }
  for (const auto& [name, labels] : served.labels) {
    auto& to = *record.add_labels();
    to.set_model_name(name);
    for (const auto& [label, version] : labels.versions) {
      auto& of_label = *to.add_labels();
      of_label.set_name(label);
      of_label.set_version(version);
    }
    for (const auto& [label, move] : labels.pending) {
      auto& of_label = *to.add_pending();
      of_label.set_name(label);
      of_label.set_version(move.version);
      of_label.set_min_coverage(move.min_coverage);
    }
    to.set_before_stable(labels.before_stable);
    to.set_revision(labels.revision);
    to.set_newest_watched(labels.newest_watched);
    if (labels.traffic) {
      auto& traffic = *to.mutable_traffic();
      traffic.set_label(labels.traffic->label);
      traffic.set_share(labels.traffic->share);
      traffic.mutable_user_ids()->Assign(labels.traffic->users.begin(),
                                         labels.traffic->users.end());
    }
    if (labels.shadow) {
      auto& shadow = *to.mutable_shadow();
      shadow.set_label(labels.shadow->label);
      shadow.set_version(labels.shadow->version);
      shadow.set_sample(labels.shadow->sample);
    }
  }
  for (const auto& [asked, labels] : served.answered.calls()) {
    auto& to = *record.add_answered();
    to.set_request_id(asked.request_id);
    to.set_digest(asked.digest);
    to.set_labels(labels);
  }
  const Mark mark = {std::string(kServedModelsMark),
                     record.SerializeAsString()};
  return store.AppendEvents({}, {&mark, 1});
}

}  // namespace qlarank

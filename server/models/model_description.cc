#include "server/models/model_description.h"

#include <string>
#include <utility>

#include "model/precision.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

v1::ScoringPrecision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return v1::SCORING_PRECISION_F32;
    case Precision::kBf16:
      return v1::SCORING_PRECISION_BF16;
    case Precision::kInt8:
      return v1::SCORING_PRECISION_INT8;
  }
  return v1::SCORING_PRECISION_UNSPECIFIED;
}

using Categories =
    google::protobuf::RepeatedPtrField<v1::ModelSchema::Category>;

void Describe(const CategorySpecs& categories, Categories& to) {
  for (const model::v1::Category& category : categories) {
    v1::ModelSchema::Category& added = *to.Add();
    added.set_name(category.name());
    added.set_separator(category.separator());
    *added.mutable_values() = category.values();
    added.set_hash_buckets(category.hash_buckets());
  }
}

}  // namespace

v1::Model DescribeModel(const LoadedModel& model, const Registry& registry) {
  const Engine& engine = *model.engine;
  const model::v1::ModelSpec& spec = model.bundle().spec();
  v1::Model described;
  described.set_name(model.name);
  described.set_version(model.version);
  described.set_is_default(&model == registry.Resolve("", 0)->get());
  described.set_state_fingerprint(engine.state_fingerprint());
  described.set_scoring_precision(ToProto(engine.precision()));
  described.set_state_bytes(engine.empty_state()->size_bytes());
  // What is in a registry answers requests.
  described.set_state(v1::MODEL_STATE_SERVING);
  described.set_fingerprint(spec.fingerprint());
  described.set_description(spec.description());
  described.set_num_items(spec.num_items());
  described.set_item_key_type(model.items_are_texts
                                  ? v1::ITEM_KEY_TYPE_TEXT
                                  : v1::ITEM_KEY_TYPE_NUMBER);
  *described.mutable_load_time() =
      FromMicros(absl::ToUnixMicros(model.load_time));
  *described.mutable_state_time() = described.load_time();
  for (std::string& label : registry.LabelsOf(model)) {
    described.add_labels(std::move(label));
  }
  const ModelLabels& labels = registry.LabelsOf(model.name);
  described.set_labels_etag(labels.etag());
  *described.mutable_pending_labels() =
      DescribePending(labels, model.version);
  if (labels.traffic &&
      labels.VersionOf(labels.traffic->label) == model.version) {
    v1::ModelTraffic& traffic = *described.mutable_traffic();
    traffic.set_label(labels.traffic->label);
    traffic.set_share(labels.traffic->share);
    traffic.set_listed_users(labels.traffic->users.size());
  }
  if (labels.ShadowVersion() == model.version) {
    described.mutable_shadow()->set_sample(labels.shadow->sample);
  }
  described.set_added_items(model.engine->catalogue().num_added_rows());
  return described;
}

v1::Model DescribeModel(const UnservedModel& model) {
  v1::Model described;
  described.set_name(model.name);
  described.set_version(model.version);
  described.set_state(model.state);
  described.set_error(model.error);
  *described.mutable_state_time() =
      FromMicros(absl::ToUnixMicros(model.since));
  return described;
}

google::protobuf::RepeatedPtrField<v1::PendingLabel> DescribePending(
    const ModelLabels& labels, uint64_t version) {
  google::protobuf::RepeatedPtrField<v1::PendingLabel> described;
  for (const auto& [label, move] : labels.pending) {
    if (version != 0 && move.version != version) continue;
    v1::PendingLabel& to = *described.Add();
    to.set_label(label);
    to.set_model_version(move.version);
    to.set_min_coverage(move.min_coverage);
  }
  return described;
}

v1::ModelSchema DescribeSchema(const LoadedModel& model,
                               const Registry& registry) {
  const model::v1::ModelSpec& spec = model.bundle().spec();
  v1::ModelSchema schema;
  for (const model::v1::Task& task : spec.tasks()) {
    v1::ModelSchema::Task& to = *schema.add_tasks();
    to.set_name(task.name());
    to.set_dot_term(task.dot_term());
    to.set_value_weight(task.value_weight());
  }
  *schema.mutable_actions() = spec.actions();
  const model::v1::ModelSpec& main =
      registry.default_model()->bundle().spec();
  *schema.mutable_event_features() = main.event_features();
  Describe(main.event_categories(), *schema.mutable_event_categories());
  *schema.mutable_candidate_features() = spec.candidate_features();
  Describe(spec.candidate_categories(), *schema.mutable_candidate_categories());
  for (const model::v1::ContextFeature& feature : spec.context_features()) {
    v1::ModelSchema::ContextFeature& to = *schema.add_context_features();
    to.set_name(feature.name());
    *to.mutable_values() = feature.values();
    *to.mutable_boundaries() = feature.boundaries();
    to.set_default_value(feature.default_value());
  }
  if (spec.num_seeds() > 0) {
    schema.set_num_seeds(spec.num_seeds());
    schema.set_summary_width(spec.d_model());
  }
  return schema;
}

v1::RequestLimits DescribeLimits(const LimitsOptions& limits) {
  v1::RequestLimits described;
  described.set_max_user_id_bytes(limits.max_user_id_bytes);
  described.set_max_candidates(limits.max_candidates);
  described.set_max_recent_events(limits.max_recent_events);
  described.set_max_message_bytes(limits.max_message_bytes);
  return described;
}

}  // namespace qlarank

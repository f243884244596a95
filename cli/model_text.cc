#include "cli/model_text.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/category_column.h"
#include "cli/event_time.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace qlarank {
namespace {

// Of the values of a feature, people are shown what fits on a line.
constexpr size_t kValuesWidth = 60;

// `name` is protobuf's of the value, "" where it knows none.
std::string EnumText(absl::string_view name, absl::string_view prefix) {
  if (!absl::ConsumePrefix(&name, prefix) || name == "UNSPECIFIED") {
    return "unknown";
  }
  return absl::AsciiStrToLower(name);
}

std::string SecondText(google::protobuf::Timestamp time) {
  time.clear_nanos();
  return FormatTime(time);
}

template <typename Repeated>
nlohmann::json ToArray(const Repeated& values) {
  nlohmann::json array = nlohmann::json::array();
  for (const auto& value : values) array.push_back(value);
  return array;
}

std::string ValuesText(const v1::ModelSchema::ContextFeature& feature) {
  if (feature.boundaries().empty()) {
    return Shorten(absl::StrJoin(feature.values(), ", "), kValuesWidth);
  }
  return Shorten(absl::StrCat("a number: below ",
                              absl::StrJoin(feature.boundaries(), ", "),
                              " and above"),
                 kValuesWidth);
}

void PrintTasks(const v1::ModelSchema& schema, std::ostream& out) {
  Table table({{"task"}, {"value weight", Align::kRight}, {"dot term"}});
  for (const v1::ModelSchema::Task& task : schema.tasks()) {
    table.AddRow({task.name(), absl::StrCat(task.value_weight()),
                  task.dot_term() ? "yes" : ""});
  }
  out << "\n";
  table.Print(out);
}

void PrintContext(const v1::ModelSchema& schema, std::ostream& out) {
  if (schema.context_features().empty()) return;
  Table table({{"context"}, {"default"}, {"values"}});
  for (const v1::ModelSchema::ContextFeature& feature :
       schema.context_features()) {
    table.AddRow(
        {feature.name(), feature.default_value(), ValuesText(feature)});
  }
  out << "\n";
  table.Print(out);
}

void PrintSchema(const v1::ModelSchema& schema, std::ostream& out) {
  const auto list = [&](absl::string_view heading, const auto& names) {
    if (!names.empty()) out << heading << absl::StrJoin(names, ", ") << "\n";
  };
  list("actions      ", schema.actions());
  list("event feat.  ",
       ShownFeatures(schema.event_features(), schema.event_categories()));
  list("cand. feat.  ", ShownFeatures(schema.candidate_features(),
                                      schema.candidate_categories()));
  if (schema.num_seeds() > 0) {
    out << "summaries    " << schema.num_seeds() << " of "
        << schema.summary_width() << " numbers\n";
  }
}

void PrintLimits(const v1::RequestLimits& limits, std::ostream& out) {
  out << "limits       " << WithCommas(limits.max_candidates())
      << " candidates, " << WithCommas(limits.max_recent_events())
      << " recent events, user ids of "
      << WithCommas(limits.max_user_id_bytes()) << " bytes, messages of "
      << WithCommas(limits.max_message_bytes()) << " bytes\n";
}

// Of users and events, for people.
std::string MigrationText(const v1::ModelMigration& migration) {
  std::string text = EnumText(
      v1::ModelMigration::Phase_Name(migration.phase()), "PHASE_");
  absl::StrAppend(&text, ": ", WithCommas(migration.covered_users()), " of ",
                  WithCommas(migration.users()), " users covered, ",
                  WithCommas(migration.events_left()), " events to fold");
  if (migration.has_time_left() &&
      migration.phase() == v1::ModelMigration::PHASE_FOLDING) {
    absl::StrAppend(&text, ", ",
                    WithCommas(static_cast<uint64_t>(
                        migration.events_per_second())),
                    " a second, ", migration.time_left().seconds(), " s left");
  }
  if (!migration.error().empty()) {
    absl::StrAppend(&text, "; ", migration.error());
  }
  return text;
}

nlohmann::json MigrationToJson(const v1::ModelMigration& migration) {
  return {{"phase", EnumText(v1::ModelMigration::Phase_Name(migration.phase()),
                             "PHASE_")},
          {"users", migration.users()},
          {"covered_users", migration.covered_users()},
          {"failed_users", migration.failed_users()},
          {"trimmed_users", migration.trimmed_users()},
          {"folded_events", migration.folded_events()},
          {"events_left", migration.events_left()},
          {"events_per_second", migration.events_per_second()},
          {"seconds_left", migration.time_left().seconds()},
          {"error", migration.error()}};
}

nlohmann::json CategoriesToJson(
    const google::protobuf::RepeatedPtrField<v1::ModelSchema::Category>&
        categories) {
  nlohmann::json array = nlohmann::json::array();
  for (const v1::ModelSchema::Category& category : categories) {
    array.push_back({{"name", category.name()},
                     {"separator", category.separator()},
                     {"values", ToArray(category.values())},
                     {"hash_buckets", category.hash_buckets()}});
  }
  return array;
}

}  // namespace

std::string PrecisionText(v1::ScoringPrecision precision) {
  return EnumText(v1::ScoringPrecision_Name(precision), "SCORING_PRECISION_");
}

std::string ModelStateText(v1::ModelState state) {
  return EnumText(v1::ModelState_Name(state), "MODEL_STATE_");
}

std::string ItemKeyTypeText(v1::ItemKeyType type) {
  return EnumText(v1::ItemKeyType_Name(type), "ITEM_KEY_TYPE_");
}

std::string ShareText(double share) { return absl::StrCat(share * 100, " %"); }

nlohmann::json PendingToJson(
    const google::protobuf::RepeatedPtrField<v1::PendingLabel>& pending) {
  nlohmann::json array = nlohmann::json::array();
  for (const v1::PendingLabel& label : pending) {
    array.push_back({{"label", label.label()},
                     {"version", label.model_version()},
                     {"min_coverage", label.min_coverage()}});
  }
  return array;
}

std::string LoadTimeText(const v1::Model& model) {
  return model.has_load_time() ? SecondText(model.load_time()) : "";
}

nlohmann::json ModelToJson(const v1::Model& model) {
  nlohmann::json json = {{"name", model.name()},
          {"version", model.version()},
          {"default", model.is_default()},
          {"state", ModelStateText(model.state())},
          {"fingerprint", model.fingerprint()},
          {"state_fingerprint", model.state_fingerprint()},
          {"description", model.description()},
          {"scoring_precision", PrecisionText(model.scoring_precision())},
          {"state_bytes", model.state_bytes()},
          {"num_items", model.num_items()},
          {"added_items", model.added_items()},
          {"item_key_type", ItemKeyTypeText(model.item_key_type())},
          {"load_time", FormatTime(model.load_time())},
          {"labels", ToArray(model.labels())},
          {"labels_etag", model.labels_etag()},
          {"pending_labels", PendingToJson(model.pending_labels())},
          {"state_time", FormatTime(model.state_time())},
          {"error", model.error()}};
  if (model.has_migration()) {
    json["migration"] = MigrationToJson(model.migration());
  }
  if (model.has_traffic()) {
    json["traffic"] = {{"label", model.traffic().label()},
                       {"share", model.traffic().share()},
                       {"listed_users", model.traffic().listed_users()}};
  }
  if (model.has_shadow()) {
    json["shadow"] = {{"sample", model.shadow().sample()}};
  }
  return json;
}

nlohmann::json SchemaToJson(const v1::ModelSchema& schema) {
  nlohmann::json tasks = nlohmann::json::array();
  for (const v1::ModelSchema::Task& task : schema.tasks()) {
    tasks.push_back({{"name", task.name()},
                     {"dot_term", task.dot_term()},
                     {"value_weight", task.value_weight()}});
  }
  nlohmann::json context = nlohmann::json::array();
  for (const v1::ModelSchema::ContextFeature& feature :
       schema.context_features()) {
    context.push_back({{"name", feature.name()},
                       {"values", ToArray(feature.values())},
                       {"boundaries", ToArray(feature.boundaries())},
                       {"default", feature.default_value()}});
  }
  return {{"tasks", std::move(tasks)},
          {"actions", ToArray(schema.actions())},
          {"event_features", ToArray(schema.event_features())},
          {"event_categories", CategoriesToJson(schema.event_categories())},
          {"candidate_features", ToArray(schema.candidate_features())},
          {"candidate_categories",
           CategoriesToJson(schema.candidate_categories())},
          {"context_features", std::move(context)},
          {"num_seeds", schema.num_seeds()},
          {"summary_width", schema.summary_width()}};
}

nlohmann::json LimitsToJson(const v1::RequestLimits& limits) {
  return {{"max_user_id_bytes", limits.max_user_id_bytes()},
          {"max_candidates", limits.max_candidates()},
          {"max_recent_events", limits.max_recent_events()},
          {"max_message_bytes", limits.max_message_bytes()}};
}

std::map<std::string, uint64_t> SortedLabels(const v1::ModelLabels& labels) {
  return {labels.versions().begin(), labels.versions().end()};
}

void PrintModel(const v1::GetModelResponse& response, std::ostream& out) {
  const v1::Model& model = response.model();
  out << "model        " << model.name() << "/" << model.version()
      << (model.is_default() ? ", the default" : "") << "\n";
  if (!model.description().empty()) {
    out << "             " << model.description() << "\n";
  }
  if (!model.has_load_time()) {
    out << "state        " << ModelStateText(model.state()) << " since "
        << SecondText(model.state_time()) << "\n";
    if (!model.error().empty()) out << "error        " << model.error() << "\n";
    return;
  }
  out << "state        " << ModelStateText(model.state()) << ", loaded "
      << LoadTimeText(model) << "\n";
  if (!model.labels().empty()) {
    out << "labels       " << absl::StrJoin(model.labels(), ", ") << " (etag "
        << model.labels_etag() << ")\n";
  }
  for (const v1::PendingLabel& pending : model.pending_labels()) {
    out << "pending      " << pending.label() << ", when "
        << ShareText(pending.min_coverage()) << " of the users are covered\n";
  }
  if (model.has_traffic()) {
    out << "traffic      " << model.traffic().label() << ": a share of "
        << model.traffic().share() << " of the users, and "
        << WithCommas(model.traffic().listed_users()) << " who are named\n";
  }
  if (model.has_shadow()) {
    out << "shadow       scores a share of " << model.shadow().sample()
        << " of other versions' requests again\n";
  }
  if (model.has_migration()) {
    out << "migration    " << MigrationText(model.migration()) << "\n";
  }
  out << "fingerprint  " << model.fingerprint() << "\n"
      << "states under " << model.state_fingerprint() << ", "
      << WithCommas(model.state_bytes()) << " bytes each\n"
      << "scored in    " << PrecisionText(model.scoring_precision()) << "\n"
      << "items        " << WithCommas(model.num_items()) << ", each a "
      << ItemKeyTypeText(model.item_key_type());
  if (model.added_items() > 0) {
    out << ", and " << WithCommas(model.added_items())
        << " rows of such that came later";
  }
  out << "\n";
  PrintSchema(model.schema(), out);
  PrintLimits(response.limits(), out);
  out << "server       " << response.server_version() << "\n";
  PrintTasks(model.schema(), out);
  PrintContext(model.schema(), out);
}

}  // namespace qlarank

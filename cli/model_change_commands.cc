// qlarank model load, unload, label, rollback, traffic and shadow: which models
// a running server has, and which of them requests reach.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/model_text.h"
#include "cli/named_model.h"
#include "cli/option_checks.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// The server reads a bundle, or waits for others' requests, before it answers.
constexpr absl::Duration kLoadTimeout = absl::Minutes(10);

struct ChangeOptions {
  std::string model;  // NAME/VERSION, or NAME
  std::string path;
  std::string label;
  uint64_t version = 0;
  std::optional<double> min_coverage;
  bool when_covered = false;
  bool drop_states = false;
  std::optional<double> share;
  std::vector<std::string> users;
  std::string shadow;  // a version, or a label
  std::optional<double> sample;
  bool end = false;
  bool remove = false;
  std::string etag;
  std::string request_id;
  bool validate_only = false;
};

Client ConnectToLoad(const CommandContext& context) {
  return Client(context.admin_server,
                std::max(absl::Seconds(context.timeout_s), kLoadTimeout),
                context.security);
}

// Of a command that wants one version.
absl::StatusOr<NamedModel> ParseVersion(const std::string& text) {
  absl::StatusOr<NamedModel> model = ParseNamedModel(text);
  if (model.ok() && model->version == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has no version; say NAME/VERSION"));
  }
  return model;
}

// What became of a version, as people and as scripts read it.
void PrintBecame(const NamedModel& model, absl::string_view became,
                 const ChangeOptions& options, CommandContext& context,
                 const nlohmann::json& more = nlohmann::json::object()) {
  if (context.json) {
    nlohmann::json json = {{"name", model.name},
                           {"version", model.version},
                           {"state", became},
                           {"validate_only", options.validate_only}};
    json.update(more);
    context.out << json.dump() << "\n";
  } else {
    context.out << "model " << model.name << "/" << model.version
                << (options.validate_only ? " could be " : " is ") << became
                << "\n";
  }
}

absl::StatusOr<ExitCode> LoadVersion(CommandContext& context,
                              const ChangeOptions& options) {
  const auto model = ParseVersion(options.model);
  if (!model.ok()) return model.status();
  v1::LoadModelRequest request;
  request.set_model_name(model->name);
  request.set_model_version(model->version);
  request.set_path(options.path);
  request.set_validate_only(options.validate_only);
  const auto response = ConnectToLoad(context).LoadModel(request);
  if (!response.ok()) return response.status();
  PrintBecame(*model, "serving", options, context);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> UnloadVersion(CommandContext& context,
                                const ChangeOptions& options) {
  const auto model = ParseVersion(options.model);
  if (!model.ok()) return model.status();
  v1::UnloadModelRequest request;
  request.set_model_name(model->name);
  request.set_model_version(model->version);
  request.set_validate_only(options.validate_only);
  request.set_drop_states(options.drop_states);
  const auto response = ConnectToLoad(context).UnloadModel(request);
  if (!response.ok()) return response.status();
  if (!options.drop_states) {
    PrintBecame(*model, "unloaded", options, context);
    return ExitCode::kOk;
  }
  PrintBecame(*model, "unloaded", options, context,
              {{"states_dropped", response->states_dropped()},
               {"states_kept_for", response->states_kept_for()}});
  if (context.json) return ExitCode::kOk;
  if (response->states_dropped()) {
    context.out << "its states " << (options.validate_only ? "would be" : "are")
                << " dropped\n";
  } else {
    context.out << "its states stay: they are those of "
                << response->states_kept_for() << ", too\n";
  }
  return ExitCode::kOk;
}

nlohmann::json ToJson(const v1::ModelLabels& labels) {
  nlohmann::json versions = nlohmann::json::object();
  for (const auto& [label, version] : labels.versions()) {
    versions[label] = version;
  }
  nlohmann::json json = {{"name", labels.model_name()},
                         {"labels", std::move(versions)},
                         {"pending_labels",
                          PendingToJson(labels.pending_labels())},
                         {"version_before_stable",
                          labels.version_before_stable()},
                         {"etag", labels.etag()}};
  if (labels.has_traffic()) {
    const auto& traffic = labels.traffic();
    json["traffic"] = {{"label", traffic.label()},
                       {"share", traffic.share()},
                       {"users", std::vector<std::string>(
                                     traffic.user_ids().begin(),
                                     traffic.user_ids().end())}};
  }
  if (labels.has_shadow()) {
    json["shadow"] = {{"label", labels.shadow().label()},
                      {"version", labels.shadow().model_version()},
                      {"sample", labels.shadow().sample()}};
  }
  return json;
}

void PrintLabels(const v1::ModelLabels& labels, CommandContext& context) {
  if (context.json) {
    context.out << ToJson(labels).dump() << "\n";
    return;
  }
  Table table({{"label"}, {"version", Align::kRight}});
  for (const auto& [label, version] : SortedLabels(labels)) {
    table.AddRow({label, absl::StrCat(version)});
  }
  table.Print(context.out);
  for (const v1::PendingLabel& pending : labels.pending_labels()) {
    context.out << pending.label() << " goes to version "
                << pending.model_version() << " when that covers "
                << ShareText(pending.min_coverage()) << " of the users\n";
  }
  if (labels.version_before_stable() > 0) {
    context.out << "rollback would go to version "
                << labels.version_before_stable() << "\n";
  }
  if (labels.has_traffic()) {
    const auto& traffic = labels.traffic();
    context.out << "traffic of " << traffic.label() << ": a share of "
                << traffic.share() << " of the users";
    if (!traffic.user_ids().empty()) {
      context.out << ", and " << absl::StrJoin(traffic.user_ids(), ", ");
    }
    context.out << "\n";
  }
  if (labels.has_shadow()) {
    const auto& shadow = labels.shadow();
    context.out << "scored again by "
                << (shadow.label().empty()
                        ? absl::StrCat("version ", shadow.model_version())
                        : shadow.label())
                << ": a share of " << shadow.sample() << " of the requests\n";
  }
  context.out << "etag " << labels.etag() << "\n";
}

// Sends a request about labels, and shows what they are then.
template <typename Request, typename Response>
absl::StatusOr<ExitCode> SendLabels(
    CommandContext& context, const ChangeOptions& options, Request request,
    absl::StatusOr<Response> (Client::*send)(const Request&) const) {
  request.set_model_name(options.model);
  request.set_etag(options.etag);
  request.set_request_id(options.request_id);
  request.set_validate_only(options.validate_only);
  const auto response = (context.ConnectAdmin().*send)(request);
  if (!response.ok()) return response.status();
  PrintLabels(response->labels(), context);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ChangeLabel(CommandContext& context,
                               const ChangeOptions& options) {
  if (options.remove == (options.version > 0)) {
    return absl::InvalidArgumentError(
        "give a version that the label points to, or --remove");
  }
  if (options.remove && options.when_covered) {
    return absl::InvalidArgumentError(
        "--when-covered: does not go with --remove");
  }
  if (options.remove) {
    v1::RemoveLabelRequest request;
    request.set_label(options.label);
    return SendLabels(context, options, std::move(request),
                      &Client::RemoveLabel);
  }
  v1::SetLabelRequest request;
  request.set_label(options.label);
  request.set_model_version(options.version);
  if (options.min_coverage) request.set_min_coverage(*options.min_coverage);
  request.set_when_covered(options.when_covered);
  return SendLabels(context, options, std::move(request), &Client::SetLabel);
}

absl::StatusOr<ExitCode> RollBack(CommandContext& context,
                                  const ChangeOptions& options) {
  return SendLabels(context, options, v1::RollbackRequest(), &Client::Rollback);
}

absl::StatusOr<ExitCode> ChangeTraffic(CommandContext& context,
                                       const ChangeOptions& options) {
  const bool given = options.share.has_value() || !options.users.empty();
  if (options.end == given) {
    return absl::InvalidArgumentError(
        "give --share or --user, or --end, which ends it");
  }
  v1::SetTrafficRequest request;
  request.set_label(options.label);
  request.set_share(options.share.value_or(0));
  request.mutable_user_ids()->Assign(options.users.begin(),
                                     options.users.end());
  return SendLabels(context, options, std::move(request), &Client::SetTraffic);
}

absl::StatusOr<ExitCode> ChangeShadow(CommandContext& context,
                                      const ChangeOptions& options) {
  if (options.end == (!options.shadow.empty() && options.sample.has_value())) {
    return absl::InvalidArgumentError(
        "give a version, or a label, and --sample, or --end, which ends it");
  }
  v1::SetShadowRequest request;
  request.set_sample(options.sample.value_or(0));
  uint64_t version = 0;
  if (absl::SimpleAtoi(options.shadow, &version)) {
    request.set_model_version(version);
  } else {
    request.set_label(options.shadow);
  }
  return SendLabels(context, options, std::move(request), &Client::SetShadow);
}

}  // namespace

void AddModelChangeCommands(CommandSet& commands, CLI::App* model) {
  CommandContext& context = commands.context();
  using Body = absl::StatusOr<ExitCode> (*)(CommandContext&,
                                            const ChangeOptions&);
  auto options = std::make_shared<ChangeOptions>();
  const auto add = [&](const char* name, const char* description, Body body,
                       const char* what) {
    CLI::App* command = commands.AddBelow(
        model, name, description,
        [options, &context, body] { return body(context, *options); });
    command->add_option("model", options->model, what)
        ->required()
        ->check(Utf8());
    command->add_flag("--validate-only", options->validate_only,
                      "Only say what would happen");
    return command;
  };
  const auto add_guards = [&](CLI::App* command) {
    command->add_option("--etag", options->etag,
                        "Refuse if the labels were changed since they had "
                        "this one (model show --json tells it)")
        ->check(Utf8());
    command->add_option("--request-id", options->request_id,
                        "Of this change alone: given again, what was done is "
                        "not done again, whatever happened since")
        ->check(Utf8());
  };
  add("load", "Have a running server load a version, and serve it to who asks "
              "for it", LoadVersion, "NAME/VERSION")
      ->add_option("--path", options->path,
                   "Of the bundle, below the server's model_base_path. "
                   "Default: NAME/VERSION")
      ->check(Utf8());
  add("unload", "Have a running server unload a version", UnloadVersion,
      "NAME/VERSION")
      ->add_flag("--drop-states", options->drop_states,
                 "Drop its users' states from the store, too");
  CLI::App* label =
      add("label", "Point a label of a model at a version: \"stable\" is what "
                   "requests get that name none", ChangeLabel, "NAME");
  label->add_option("label", options->label, "Such as stable or canary")
      ->required()
      ->check(Utf8());
  label->add_option("version", options->version, "That it points to")
      ->transform(WholeNumberOf<uint64_t>(1));
  label->add_option("--min-coverage", options->min_coverage,
                    "The share of users who must have a state under the "
                    "version, 0 to 1. Default: .99");
  label->add_flag("--when-covered", options->when_covered,
                  "Do not refuse while fewer have one: the server moves the "
                  "label as soon as they have");
  label->add_flag("--remove", options->remove, "Remove the label");
  add_guards(label);
  add_guards(add("rollback", "Point \"stable\" at the version before, once",
                 RollBack, "NAME"));
  CLI::App* traffic =
      add("traffic", "Have a label's version answer a share of the users who "
                     "name neither version nor label", ChangeTraffic, "NAME");
  traffic->add_option("label", options->label, "Any but stable")
      ->required()
      ->check(Utf8());
  traffic->add_option("--share", options->share,
                      "Of the users, 0 to 1, by a hash of their ids");
  traffic->add_option("--user", options->users,
                      "One whom it answers whatever the share is; may be "
                      "repeated")
      ->check(Utf8());
  traffic->add_flag("--end", options->end, "End the label's traffic");
  add_guards(traffic);
  CLI::App* shadow =
      add("shadow", "Have a version score requests again that others have "
                    "answered: the metrics qlarank_shadow_* tell the "
                    "difference", ChangeShadow, "NAME");
  shadow->add_option("shadow", options->shadow, "A version, or a label")
      ->check(Utf8());
  shadow->add_option("--sample", options->sample, "Of the requests, 0 to 1");
  shadow->add_flag("--end", options->end, "Score nothing again any more");
  add_guards(shadow);
}

}  // namespace qlarank

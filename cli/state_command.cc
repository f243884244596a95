// qlarank state: what the server remembers of a user.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/event_csv.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/state_text.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct StateOptions {
  std::string user;
  std::string model;
  uint64_t version = 0;
  std::string label;
  uint64_t min_event_count = 0;
};

nlohmann::json ToJson(const v1::GetUserStateResponse& response) {
  nlohmann::json json = StateToJson(response.state());
  json["model"] = response.model_name();
  json["version"] = response.model_version();
  json["state_fingerprint"] = response.state_fingerprint();
  json["state_bytes"] = response.state_bytes();
  json["watermarks"] = nlohmann::json::object();
  for (const auto& [source, sequence] : response.watermarks()) {
    json["watermarks"][source] = absl::StrCat(sequence);
  }
  return json;
}

void Print(const v1::GetUserStateResponse& response, std::ostream& out) {
  out << "state        " << StateToText(response.state()) << "\n"
      << "model        " << response.model_name() << "/"
      << response.model_version() << "\n"
      << "fingerprint  " << response.state_fingerprint() << "\n"
      << "size         " << WithCommas(response.state_bytes())
      << " bytes, whatever the number of events\n";
  for (const auto& [source, sequence] : response.watermarks()) {
    out << "watermark    " << source << " " << sequence << "\n";
  }
}

absl::StatusOr<ExitCode> GetState(CommandContext& context,
                                  const StateOptions& options) {
  v1::GetUserStateRequest request;
  request.set_user_id(options.user);
  request.set_model_name(options.model);
  request.set_model_version(options.version);
  request.set_model_label(options.label);
  request.set_min_event_count(options.min_event_count);
  auto response = context.Connect().GetUserState(request);
  if (!response.ok()) return response.status();
  if (context.json) {
    context.out << ToJson(*response).dump() << "\n";
  } else {
    Print(*response, context.out);
  }
  return response->state().found() ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace

void AddStateCommand(CommandSet& commands) {
  auto options = std::make_shared<StateOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "state", "Show what is remembered of a user; exits 1 when nothing is",
      [options, &context] { return GetState(context, *options); });
  app->add_option("--user", options->user)->required()->check(Utf8());
  app->add_option("--model", options->model, "Default: the server's")
      ->check(Utf8());
  app->add_option("--model-version", options->version,
                  "Default: the one labelled stable, or else the newest")
      ->transform(WholeNumberOf<uint64_t>(0));
  app->add_option("--model-label", options->label,
                  "In place of a version: the one with this label")
      ->check(Utf8());
  app->add_option("--min-event-count", options->min_event_count,
                  "Fold at least so many events first")
      ->transform(WholeNumberOf<uint64_t>(0));
}

}  // namespace qlarank

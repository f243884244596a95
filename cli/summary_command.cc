// qlarank summary: what a model's seeds make of a user.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/state_text.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// What people are shown of it; --json prints all.
constexpr uint32_t kSeedsShown = 8;
constexpr uint32_t kNumbersShown = 6;

struct SummaryOptions {
  std::string user;
  std::string model;
  uint64_t version = 0;
  std::string label;
  uint64_t min_event_count = 0;
  bool int8 = false;
};

// The value of one number, whatever the encoding.
float ValueAt(const v1::GetUserSummaryResponse& response, size_t index) {
  if (response.values_size() > 0) return response.values(index);
  return response.scales(index / response.width()) *
         static_cast<int8_t>(response.quantized_values()[index]);
}

// Whether the reply holds as many numbers as it says.
bool IsWhole(const v1::GetUserSummaryResponse& response) {
  const size_t numbers = size_t{response.num_seeds()} * response.width();
  if (response.values_size() > 0) {
    return static_cast<size_t>(response.values_size()) == numbers;
  }
  return response.quantized_values().size() == numbers &&
         static_cast<size_t>(response.scales_size()) == response.num_seeds();
}

nlohmann::json ToJson(const v1::GetUserSummaryResponse& response) {
  nlohmann::json json = StateToJson(response.state());
  json["model"] = response.model_name();
  json["version"] = response.model_version();
  json["state_fingerprint"] = response.state_fingerprint();
  json["summaries"] = nlohmann::json::array();
  for (uint32_t seed = 0; seed < response.num_seeds(); ++seed) {
    nlohmann::json row = nlohmann::json::array();
    for (uint32_t i = 0; i < response.width(); ++i) {
      row.push_back(ValueAt(response, size_t{seed} * response.width() + i));
    }
    json["summaries"].push_back(std::move(row));
  }
  return json;
}

void Print(const v1::GetUserSummaryResponse& response, std::ostream& out) {
  const bool floats = response.values_size() > 0;
  const size_t bytes = floats ? response.values_size() * sizeof(float)
                              : response.quantized_values().size() +
                                    response.scales_size() * sizeof(float);
  out << "state        " << StateToText(response.state()) << "\n"
      << "model        " << response.model_name() << "/"
      << response.model_version() << "\n"
      << "fingerprint  " << response.state_fingerprint() << "\n"
      << "summaries    " << response.num_seeds() << " x " << response.width()
      << (floats ? " floats, " : " bytes with a scale each, ")
      << WithCommas(bytes) << " bytes\n\n";
  std::vector<Table::Column> columns = {{"seed", Align::kRight}};
  const uint32_t numbers = std::min(kNumbersShown, response.width());
  for (uint32_t i = 0; i < numbers; ++i) {
    columns.push_back({absl::StrCat("[", i, "]"), Align::kRight});
  }
  Table table(std::move(columns));
  for (uint32_t seed = 0; seed < std::min(kSeedsShown, response.num_seeds());
       ++seed) {
    std::vector<std::string> row = {absl::StrCat(seed)};
    for (uint32_t i = 0; i < numbers; ++i) {
      row.push_back(absl::StrFormat(
          "%.4f", ValueAt(response, size_t{seed} * response.width() + i)));
    }
    table.AddRow(std::move(row));
  }
  table.Print(out);
}

absl::StatusOr<ExitCode> GetSummary(CommandContext& context,
                                    const SummaryOptions& options) {
  v1::GetUserSummaryRequest request;
  request.set_user_id(options.user);
  request.set_model_name(options.model);
  request.set_model_version(options.version);
  request.set_model_label(options.label);
  request.set_min_event_count(options.min_event_count);
  request.set_encoding(options.int8 ? v1::SUMMARY_ENCODING_INT8
                                    : v1::SUMMARY_ENCODING_FLOAT32);
  auto response = context.Connect().GetUserSummary(request);
  if (!response.ok()) return response.status();
  if (!IsWhole(*response)) {
    return absl::InternalError(absl::StrCat("the server's reply does not hold ",
                                            response->num_seeds(), " x ",
                                            response->width(), " numbers"));
  }
  if (context.json) {
    context.out << ToJson(*response).dump() << "\n";
  } else {
    Print(*response, context.out);
  }
  return response->state().found() ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace

void AddSummaryCommand(CommandSet& commands) {
  auto options = std::make_shared<SummaryOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "summary",
      "Show a user's summaries, by a model with seeds; exits 1 when nothing "
      "is remembered of the user",
      [options, &context] { return GetSummary(context, *options); });
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
  app->add_flag("--int8", options->int8,
                "A byte a number and a scale a summary, instead of floats");
}

}  // namespace qlarank

// qlarank append: one event, for trying things out.
#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/event_time.h"
#include "cli/item_key.h"
#include "cli/option_checks.h"
#include "cli/ranking_change.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// What a server takes.
constexpr uint64_t kMaxSequence = std::numeric_limits<int64_t>::max();

struct AppendOptions {
  std::string user;
  std::string item;
  ItemKeys item_keys = ItemKeys::kNumbers;
  std::string action;
  std::string time;
  std::string time_unit = "s";
  std::string source = "cli";
  uint64_t sequence = 0;
  bool show_change = false;
  std::string bundle;
  uint32_t top_k = 10;
};

google::protobuf::Timestamp Now() {
  int64_t micros = absl::ToUnixMicros(absl::Now());
  google::protobuf::Timestamp time;
  time.set_seconds(micros / 1'000'000);
  time.set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1'000);
  return time;
}

// Not applied, which nobody should take for success: says where the source
// stands.
ExitCode ExplainDuplicate(CommandContext& context, const Client& client,
                          const v1::AppendEventsRequest& request) {
  const v1::UserEvent& event = request.events(0);
  context.err << "duplicate, not applied: sequence " << event.sequence()
              << " of source \"" << request.source() << "\"";
  v1::GetUserStateRequest state_of;
  state_of.set_user_id(event.user_id());
  auto state = client.GetUserState(state_of);
  if (state.ok() && state->watermarks().contains(request.source())) {
    context.err << "; the user's log has events of it through "
                << state->watermarks().at(request.source());
  }
  context.err << ". Another --source or a larger --sequence counts\n";
  return ExitCode::kNegative;
}

absl::StatusOr<ExitCode> Append(CommandContext& context,
                                const AppendOptions& options) {
  v1::AppendEventsRequest request;
  request.set_source(options.source);
  // Whoever is told what is wrong with it sends another one, or none.
  request.set_give_up_refused(true);
  v1::UserEvent* event = request.add_events();
  event->set_user_id(options.user);
  // The clock grows, as a sequence must.
  event->set_sequence(options.sequence != 0 ? options.sequence
                                            : absl::ToUnixMicros(absl::Now()));
  absl::StatusOr<uint64_t> item = ParseItem(options.item, options.item_keys);
  if (!item.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--item \"", options.item, "\" ", item.status().message()));
  }
  event->mutable_event()->set_item_id(*item);
  event->mutable_event()->set_action(options.action);
  *event->mutable_event()->mutable_time() = Now();
  if (!options.time.empty()) {
    auto time = ParseTimeOption("--time", options.time, options.time_unit);
    if (!time.ok()) return time.status();
    *event->mutable_event()->mutable_time() = *time;
  }
  Client client = context.Connect();
  if (options.show_change) {
    absl::StatusOr<uint64_t> applied = ShowChange(
        client, request, options.bundle, options.top_k, context.out);
    if (!applied.ok()) return applied.status();
    return *applied > 0 ? ExitCode::kOk
                        : ExplainDuplicate(context, client, request);
  }
  auto response = client.AppendEvents(request);
  if (!response.ok()) return response.status();
  if (context.json) {
    context.out << nlohmann::json{{"applied", response->applied()},
                                  {"duplicates", response->duplicates()}}
                       .dump()
                << "\n";
  } else if (response->applied() > 0) {
    context.out << "applied\n";
  }
  return response->applied() > 0 ? ExitCode::kOk
                                 : ExplainDuplicate(context, client, request);
}

}  // namespace

void AddAppendCommand(CommandSet& commands) {
  auto options = std::make_shared<AppendOptions>();
  CommandContext& context = commands.context();
  CLI::App* app =
      commands.Add("append", "Append one event to a user's log",
                   [options, &context] { return Append(context, *options); });
  app->add_option("--user", options->user)->required()->check(Utf8());
  app->add_option("--item", options->item)->required();
  AddItemKeysOption(app, options->item_keys);
  app->add_option("--action", options->action, "Default: the model's first")
      ->check(Utf8());
  app->add_option("--time", options->time, "Default: now");
  app->add_option("--time-unit", options->time_unit,
                  "How --time is written: s, ms, us (since 1970), or rfc3339 "
                  "for 2017-11-20T18:03:00Z")
      ->capture_default_str();
  app->add_option("--source", options->source, "Who numbers the events")
      ->check(Utf8())
      ->capture_default_str();
  app->add_option("--sequence", options->sequence,
                  "Position in the source. Default: the clock's microseconds")
      ->transform(WholeNumber(1, kMaxSequence));
  auto* bundle = app->add_option("--bundle", options->bundle,
                                 "Folder of the model, for --show-change");
  app->add_flag("--show-change", options->show_change,
                "Rank all of the bundle's items before and after")
      ->needs(bundle);
  app->add_option("--top-k", options->top_k, "Candidates to show")
      ->transform(WholeNumberOf<uint32_t>(1))
      ->capture_default_str();
}

}  // namespace qlarank

// qlarank server-info: the build that runs, its store and its models.
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/model_text.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

nlohmann::json ToJson(const v1::GetServerInfoResponse& info) {
  nlohmann::json models = nlohmann::json::array();
  for (const v1::Model& model : info.models()) {
    models.push_back(ModelToJson(model));
  }
  nlohmann::json states = nlohmann::json::array();
  for (const v1::StoredStates& stored : info.stored_states()) {
    states.push_back({{"state_fingerprint", stored.state_fingerprint()},
                      {"users", stored.users()},
                      {"bytes", stored.bytes()}});
  }
  return {{"server_version", info.server_version()},
          {"store_format", info.store_format()},
          {"num_partitions", info.num_partitions()},
          {"num_owners", info.num_owners()},
          {"catalogue_version", info.catalogue_version()},
          {"models", models},
          {"stored_states", states}};
}

// By the fingerprints that users' states are kept under, and whose those are.
void PrintStoredStates(const v1::GetServerInfoResponse& info,
                       std::ostream& out) {
  if (info.stored_states().empty()) return;
  Table table({{"states of"},
               {"users, about", Align::kRight},
               {"bytes", Align::kRight},
               {"fingerprint"}});
  for (const v1::StoredStates& stored : info.stored_states()) {
    std::string owners;
    for (const v1::Model& model : info.models()) {
      if (model.state_fingerprint() != stored.state_fingerprint()) continue;
      absl::StrAppend(&owners, owners.empty() ? "" : ", ", model.name(), "/",
                      model.version());
    }
    table.AddRow({owners.empty() ? "none that is served" : owners,
                  WithCommas(stored.users()), WithCommas(stored.bytes()),
                  stored.state_fingerprint()});
  }
  out << "\n";
  table.Print(out);
}

void Print(const v1::GetServerInfoResponse& info, std::ostream& out) {
  out << "server      " << info.server_version() << "\n"
      << "store       "
      << (info.store_format() == 0
              ? "in memory"
              : absl::StrCat("format ", info.store_format()))
      << "\n"
      << "partitions  " << WithCommas(info.num_partitions()) << "\n"
      << "owners      " << WithCommas(info.num_owners()) << "\n"
      << "catalogue   version " << info.catalogue_version() << "\n\n";
  Table table({{"model"},
               {"version", Align::kRight},
               {"default"},
               {"scored in"},
               {"state bytes", Align::kRight},
               {"fingerprint"}});
  for (const v1::Model& model : info.models()) {
    table.AddRow({model.name(), absl::StrCat(model.version()),
                  model.is_default() ? "yes" : "",
                  PrecisionText(model.scoring_precision()),
                  WithCommas(model.state_bytes()), model.state_fingerprint()});
  }
  table.Print(out);
  PrintStoredStates(info, out);
}

absl::StatusOr<ExitCode> ShowServerInfo(CommandContext& context) {
  const auto info = context.ConnectAdmin().GetServerInfo();
  if (!info.ok()) return info.status();
  if (context.json) {
    context.out << ToJson(*info).dump() << "\n";
  } else {
    Print(*info, context.out);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddServerInfoCommand(CommandSet& commands) {
  CommandContext& context = commands.context();
  commands.Add("server-info",
               "Show the build of a running server, how its store is divided, "
               "and its models",
               [&context] { return ShowServerInfo(context); });
}

}  // namespace qlarank

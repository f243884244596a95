// qlarank checkpoint, backup and erasures: what operators ask of a running
// server.
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

absl::StatusOr<ExitCode> Checkpoint(CommandContext& context,
                                    const v1::CheckpointRequest& request) {
  const auto response = context.ConnectAdmin().Checkpoint(request);
  if (!response.ok()) return response.status();
  if (context.json) {
    context.out << nlohmann::json{{"path", response->path()}}.dump() << "\n";
  } else {
    context.out << "checkpoint: " << response->path() << "\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Backup(CommandContext& context,
                                const v1::BackupRequest& request) {
  const auto response = context.ConnectAdmin().Backup(request);
  if (!response.ok()) return response.status();
  if (context.json) {
    context.out << nlohmann::json{{"id", response->backup_id()},
                                  {"bytes", response->bytes()},
                                  {"new_bytes", response->new_bytes()}}
                       .dump()
                << "\n";
  } else {
    context.out << "backup " << response->backup_id() << ": "
                << WithCommas(response->bytes()) << " bytes, "
                << WithCommas(response->new_bytes()) << " of them new\n";
  }
  return ExitCode::kOk;
}

std::string TimeText(const v1::Erasure& erasure) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                          absl::FromUnixSeconds(erasure.time().seconds()),
                          absl::UTCTimeZone());
}

void Print(const v1::ListErasuresResponse& response, CommandContext& context) {
  if (context.json) {
    nlohmann::json json = nlohmann::json::array();
    for (const v1::Erasure& erasure : response.erasures()) {
      json.push_back({{"user_digest", erasure.user_digest()},
                      {"time", TimeText(erasure)},
                      {"principal", erasure.principal()},
                      {"reason", erasure.reason()},
                      {"events", erasure.events()},
                      {"purged", erasure.purged()}});
    }
    context.out << json.dump() << "\n";
    return;
  }
  Table table({{"user"},
               {"erased"},
               {"reason"},
               {"by"},
               {"events", Align::kRight},
               {"purged"}});
  for (const v1::Erasure& erasure : response.erasures()) {
    table.AddRow({erasure.user_digest(), TimeText(erasure), erasure.reason(),
                  erasure.principal(), WithCommas(erasure.events()),
                  erasure.purged() ? "yes" : "not yet"});
  }
  table.Print(context.out);
}

absl::StatusOr<ExitCode> ListErasures(CommandContext& context,
                                      const v1::ListErasuresRequest& request) {
  const auto response = context.ConnectAdmin().ListErasures(request);
  if (!response.ok()) return response.status();
  Print(*response, context);
  return response->erasures().empty() ? ExitCode::kNegative : ExitCode::kOk;
}

}  // namespace

void AddAdminCommands(CommandSet& commands) {
  CommandContext& context = commands.context();
  auto checkpoint = std::make_shared<v1::CheckpointRequest>();
  commands
      .Add("checkpoint",
           "Make a checkpoint of a running server's store, below its "
           "store.checkpoint_path",
           [checkpoint, &context] { return Checkpoint(context, *checkpoint); })
      ->add_option_function<std::string>(
          "name",
          [checkpoint](const std::string& name) { checkpoint->set_name(name); },
          "Of the new folder")
      ->required();

  auto backup = std::make_shared<v1::BackupRequest>();
  commands
      .Add("backup",
           "Add an incremental backup of a running server's store to its "
           "store.backup_path",
           [backup, &context] { return Backup(context, *backup); })
      ->add_option_function<uint32_t>(
          "--keep", [backup](uint32_t keep) { backup->set_keep(keep); },
          "Then remove all but the newest N (0: none)")
      ->transform(WholeNumberOf<uint32_t>(0));

  auto erasures = std::make_shared<v1::ListErasuresRequest>();
  CLI::App* list = commands.Add(
      "erasures",
      "List who was erased, the newest first; exits 1 when there is nobody",
      [erasures, &context] { return ListErasures(context, *erasures); });
  list->add_option_function<std::string>(
      "--user",
      [erasures](const std::string& user) { erasures->set_user_id(user); },
      "Only erasures of this user")
      ->check(Utf8());
  list->add_option_function<uint32_t>(
      "--limit", [erasures](uint32_t limit) { erasures->set_limit(limit); },
      "At most N (default: 1,000)")
      ->transform(WholeNumberOf<uint32_t>(0));
}

}  // namespace qlarank

// qlarank store: copies of a store, and whether it is whole. Works on folders;
// needs no server.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_check.h"
#include "state_store/store_copies.h"
#include "state_store/store_repair.h"
#include "state_store/store_upgrade.h"

namespace qlarank {
namespace {

struct StoreArguments {
  std::string from;
  std::string to;
  uint32_t keep = 0;
  uint32_t backup = 0;
  uint32_t partitions = kDefaultPartitions;
};

// A path that is wrong, or what is there, is a matter of input.
absl::Status AsInput(const absl::Status& status) {
  if (absl::IsNotFound(status) || absl::IsAlreadyExists(status)) {
    return absl::InvalidArgumentError(status.message());
  }
  return status;
}

std::string TimeText(int64_t time_us) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(time_us),
                          absl::UTCTimeZone());
}

nlohmann::json ToJson(const BackupInfo& backup) {
  return {{"id", backup.id},
          {"time", TimeText(backup.time_us)},
          {"bytes", backup.bytes}};
}

absl::StatusOr<ExitCode> Backup(CommandContext& context,
                                const StoreArguments& arguments) {
  RocksDbOptions options;
  options.path = arguments.from;
  // Opening would make one.
  std::error_code error;
  if (!std::filesystem::is_directory(arguments.from, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("store ", arguments.from, ": there is none"));
  }
  auto store = OpenRocksDbStateStore(options);
  if (!store.ok()) return AsInput(store.status());
  const auto backup = (*store)->Backup(arguments.to, arguments.keep);
  if (!backup.ok()) return AsInput(backup.status());
  if (context.json) {
    nlohmann::json json = ToJson(*backup);
    json["new_bytes"] = backup->new_bytes;
    context.out << json.dump() << "\n";
  } else {
    context.out << "backup " << backup->id << ": " << WithCommas(backup->bytes)
                << " bytes, " << WithCommas(backup->new_bytes)
                << " of them new\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> List(CommandContext& context,
                              const StoreArguments& arguments) {
  const auto backups = ListBackups(arguments.from);
  if (!backups.ok()) return AsInput(backups.status());
  if (context.json) {
    nlohmann::json json = nlohmann::json::array();
    for (const BackupInfo& backup : *backups) json.push_back(ToJson(backup));
    context.out << json.dump() << "\n";
    return ExitCode::kOk;
  }
  Table table({{"backup", Align::kRight}, {"made"}, {"bytes", Align::kRight}});
  for (const BackupInfo& backup : *backups) {
    table.AddRow({absl::StrCat(backup.id), TimeText(backup.time_us),
                  WithCommas(backup.bytes)});
  }
  table.Print(context.out);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Restore(CommandContext& context,
                                 const StoreArguments& arguments) {
  const absl::Status restored =
      RestoreStore(arguments.from, arguments.backup, arguments.to);
  if (!restored.ok()) return AsInput(restored);
  context.out << "restored to " << arguments.to << "\n";
  return ExitCode::kOk;
}

// Prints problems as they are found, for people; collects them for JSON.
StoreProblemSink Printer(CommandContext& context, nlohmann::json& problems) {
  return [&](const StoreProblem& problem) {
    if (context.json) {
      problems.push_back({{"column_family", problem.column_family},
                          {"user_hash", problem.user_hash},
                          {"what", problem.what}});
      return;
    }
    context.out << problem.column_family << ": "
                << (problem.user_hash.empty()
                        ? ""
                        : absl::StrCat("user ", problem.user_hash, ": "))
                << problem.what << "\n";
  };
}

absl::StatusOr<ExitCode> Verify(CommandContext& context,
                                const StoreArguments& arguments) {
  nlohmann::json problems = nlohmann::json::array();
  const auto totals = VerifyStore(arguments.from, Printer(context, problems));
  if (!totals.ok()) return AsInput(totals.status());
  if (context.json) {
    context.out << nlohmann::json{{"partitions", totals->partitions},
                                  {"users", totals->users},
                                  {"events", totals->events},
                                  {"snapshots", totals->snapshots},
                                  {"catalogue_entries",
                                   totals->catalogue_entries},
                                  {"table_files", totals->table_files},
                                  {"problems", problems}}
                       .dump()
                << "\n";
  } else {
    context.out << WithCommas(totals->users) << " users, "
                << WithCommas(totals->events) << " events, "
                << WithCommas(totals->snapshots) << " snapshots, "
                << WithCommas(totals->table_files) << " table files, "
                << WithCommas(totals->partitions)
                << " partitions: " << WithCommas(totals->problems)
                << " problems\n";
  }
  return totals->problems == 0 ? ExitCode::kOk : ExitCode::kNegative;
}

absl::StatusOr<ExitCode> Repair(CommandContext& context,
                                const StoreArguments& arguments) {
  nlohmann::json problems = nlohmann::json::array();
  const auto totals = RepairStore(arguments.from, arguments.to,
                                  Printer(context, problems));
  if (!totals.ok()) return AsInput(totals.status());
  if (context.json) {
    context.out << nlohmann::json{{"users", totals->users},
                                  {"events", totals->events},
                                  {"snapshots", totals->snapshots},
                                  {"snapshots_dropped",
                                   totals->snapshots_dropped},
                                  {"heads_rebuilt", totals->heads_rebuilt},
                                  {"users_unrepaired",
                                   totals->users_unrepaired},
                                  {"may_be_incomplete",
                                   totals->may_be_incomplete},
                                  {"problems", problems}}
                       .dump()
                << "\n";
  } else {
    context.out << "copied " << WithCommas(totals->users) << " users, "
                << WithCommas(totals->events) << " events, "
                << WithCommas(totals->snapshots) << " snapshots to "
                << arguments.to << "\nsnapshots left out: "
                << WithCommas(totals->snapshots_dropped)
                << "; heads made anew: " << WithCommas(totals->heads_rebuilt)
                << "; users who stay damaged: "
                << WithCommas(totals->users_unrepaired) << "\n";
    if (totals->may_be_incomplete) {
      context.out << "users or newest events may be missing: compare with the "
                     "sources, or send their events again\n";
    }
  }
  return totals->users_unrepaired == 0 && !totals->may_be_incomplete
             ? ExitCode::kOk
             : ExitCode::kNegative;
}

absl::StatusOr<ExitCode> Upgrade(CommandContext& context,
                                 const StoreArguments& arguments) {
  Progress progress(context.err, {.terminal = context.err_is_terminal,
                                  .label = "upgrading",
                                  .unit = "users"});
  UpgradeOptions options;
  options.partitions = arguments.partitions;
  options.on_progress = [&](const UpgradeTotals& so_far) {
    progress.Update(std::nullopt, so_far.users);
  };
  const auto totals = UpgradeStore(arguments.from, arguments.to, options);
  progress.Clear();
  if (!totals.ok()) return AsInput(totals.status());
  if (context.json) {
    context.out << nlohmann::json{{"partitions", totals->partitions},
                                  {"users", totals->users},
                                  {"events", totals->events},
                                  {"snapshots", totals->snapshots},
                                  {"snapshots_dropped",
                                   totals->snapshots_dropped},
                                  {"erasures", totals->erasures},
                                  {"source_marks", totals->source_marks},
                                  {"schemas", totals->schemas}}
                       .dump()
                << "\n";
  } else {
    context.out << "upgraded to " << arguments.to << ", of "
                << WithCommas(totals->partitions) << " partitions: "
                << WithCommas(totals->users) << " users, "
                << WithCommas(totals->events) << " events, "
                << WithCommas(totals->snapshots) << " snapshots ("
                << WithCommas(totals->snapshots_dropped)
                << " of no use left out), records of "
                << WithCommas(totals->erasures) << " erasures, "
                << WithCommas(totals->source_marks) << " marks of sources, "
                << WithCommas(totals->schemas) << " schemas\n";
  }
  return ExitCode::kOk;
}

}  // namespace

void AddStoreCommand(CommandSet& commands) {
  auto arguments = std::make_shared<StoreArguments>();
  CommandContext& context = commands.context();
  CLI::App* store = commands.app().add_subcommand(
      "store", "Back up, restore, verify, repair and upgrade a store's folder");
  store->require_subcommand(1);
  store->fallthrough();
  const auto add = [&](const std::string& name, const std::string& description,
                       auto run) {
    return commands.AddBelow(
        store, name, description,
        [arguments, &context, run] { return run(context, *arguments); });
  };
  CLI::App* backup = add("backup",
                         "Add a backup of a store that no server has open, or "
                         "of a checkpoint, to a folder of backups",
                         Backup);
  backup->add_option("store", arguments->from)->required();
  backup->add_option("backups", arguments->to)->required();
  backup->add_option("--keep", arguments->keep,
                     "Then remove all but the newest N (0: none)")
      ->transform(WholeNumberOf<uint32_t>(0));
  CLI::App* list =
      add("backups", "List the backups in a folder, the oldest first", List);
  list->add_option("backups", arguments->from)->required();
  CLI::App* restore = add(
      "restore", "Make a store of a checkpoint or of a folder of backups",
      Restore);
  restore->add_option("source", arguments->from)->required();
  restore->add_option("store", arguments->to, "Nothing may be there")
      ->required();
  restore->add_option("--backup", arguments->backup,
                      "Which backup (0: the newest)")
      ->transform(WholeNumberOf<uint32_t>(0));
  CLI::App* verify = add("verify",
                         "Check every byte of a store that no server has open, "
                         "or of a checkpoint; exits 1 when something is wrong",
                         Verify);
  verify->add_option("store", arguments->from)->required();
  CLI::App* repair =
      add("repair",
          "Copy what is good of a damaged store to a new one; exits 1 when "
          "users stay damaged or may be missing",
          Repair);
  repair->add_option("store", arguments->from)->required();
  repair->add_option("repaired", arguments->to, "Nothing may be there")
      ->required();
  CLI::App* upgrade =
      add("upgrade",
          "Make a store of this version's format of one that an older version "
          "wrote, which stays as it is",
          Upgrade);
  upgrade->add_option("store", arguments->from)->required();
  upgrade->add_option("upgraded", arguments->to, "Nothing may be there")
      ->required();
  upgrade->add_option("--partitions", arguments->partitions,
                      "Into how many shares users are divided, for good: at "
                      "least as many as ingest.shards")
      ->transform(WholeNumber(1, kMaxPartitions))
      ->capture_default_str();
}

}  // namespace qlarank

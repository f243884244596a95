// What every subcommand has in common: where the server is, and where and how
// to print.
//
// A subcommand is one file with one function that declares its options on the
// CLI11 app and hands over a callback; main.cc lists them. Callbacks return an
// ExitCode, or a Status that is printed as "qlarank: <message>".
#ifndef QLARANK_CLI_COMMAND_H_
#define QLARANK_CLI_COMMAND_H_

#include <functional>
#include <ostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/client_security.h"
#include "cli/exit_code.h"

namespace qlarank {

struct CommandContext {
  std::ostream& out;
  std::ostream& err;
  // Whether `err` is a terminal, where progress may be redrawn.
  bool err_is_terminal = false;

  std::string server = "127.0.0.1:8500";
  std::string admin_server = "127.0.0.1:8502";
  double timeout_s = 10;
  bool json = false;

  ClientSecurity security = {};

  Client Connect() const {
    return Client(server, absl::Seconds(timeout_s), security);
  }
  // For what the server does for operators only.
  Client ConnectAdmin() const {
    return Client(admin_server, absl::Seconds(timeout_s), security);
  }
};

using CommandBody = std::function<absl::StatusOr<ExitCode>()>;

// Adds a subcommand to the parsed app. `context` and what `body` refers to must
// outlive the app.
class CommandSet {
 public:
  CommandSet(CLI::App& app, CommandContext& context)
      : app_(app), context_(context) {}

  // A new subcommand; declare options on the result.
  CLI::App* Add(const std::string& name, const std::string& description,
                CommandBody body);
  // The same below `parent`.
  CLI::App* AddBelow(CLI::App* parent, const std::string& name,
                     const std::string& description, CommandBody body);

  CLI::App& app() { return app_; }
  CommandContext& context() { return context_; }

  // Runs the subcommand that was chosen. REQUIRES: parsing succeeded.
  absl::StatusOr<ExitCode> RunChosen() const;

 private:
  CLI::App& app_;
  CommandContext& context_;
  CommandBody chosen_;
};

// The whole tool, without the process: what main() and the tests call.
ExitCode RunCommandLine(int argc, const char* const* argv, std::ostream& out,
                        std::ostream& err, bool err_is_terminal);

// One per file <name>_command.cc.
void AddImportCommand(CommandSet& commands);
void AddExportCommand(CommandSet& commands);
void AddAppendCommand(CommandSet& commands);
void AddRankCommand(CommandSet& commands);
void AddStateCommand(CommandSet& commands);
void AddStoreCommand(CommandSet& commands);
void AddSummaryCommand(CommandSet& commands);
void AddDeleteUserCommand(CommandSet& commands);
void AddModelCommand(CommandSet& commands);
// Below `model`: list, show.
void AddServedModelCommands(CommandSet& commands, CLI::App* model);
// Below `model`: load, unload, label, rollback, traffic, shadow.
void AddModelChangeCommands(CommandSet& commands, CLI::App* model);
// Below `model`: compare.
void AddCompareCommand(CommandSet& commands, CLI::App* model);
void AddItemsCommand(CommandSet& commands);
void AddServeCheckCommand(CommandSet& commands);
void AddServerInfoCommand(CommandSet& commands);
void AddEvaluateCommand(CommandSet& commands);
void AddAdminCommands(CommandSet& commands);  // checkpoint, backup, erasures

}  // namespace qlarank

#endif  // QLARANK_CLI_COMMAND_H_

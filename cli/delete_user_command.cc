// qlarank delete-user: erases all that is remembered of a user.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct DeleteOptions {
  std::string user;
  bool yes = false;
};

bool Confirmed(CommandContext& context, const std::string& user) {
  if (isatty(STDIN_FILENO) == 0) return false;
  context.err << "Erase every event and state of user " << user
              << "? This cannot be undone. [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

absl::StatusOr<ExitCode> Delete(CommandContext& context,
                                const DeleteOptions& options) {
  if (!options.yes && !Confirmed(context, options.user)) {
    return absl::InvalidArgumentError(
        "nothing was erased: confirm, or say --yes");
  }
  v1::DeleteUserRequest request;
  request.set_user_id(options.user);
  auto response = context.ConnectAdmin().DeleteUser(request);
  if (!response.ok()) return response.status();
  if (context.json) {
    context.out << nlohmann::json{{"found", response->found()},
                                  {"events_deleted",
                                   response->events_deleted()}}
                       .dump()
                << "\n";
  } else if (response->found()) {
    context.out << "erased: " << WithCommas(response->events_deleted())
                << " events and the states made of them\n";
  } else {
    context.out << "no such user\n";
  }
  return response->found() ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace

void AddDeleteUserCommand(CommandSet& commands) {
  auto options = std::make_shared<DeleteOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "delete-user",
      "Erase a user's events, states and watermarks; exits 1 when there are "
      "none",
      [options, &context] { return Delete(context, *options); });
  app->add_option("--user", options->user)->required()->check(Utf8());
  app->add_flag("--yes", options->yes, "Do not ask");
}

}  // namespace qlarank

#include "cli/command.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/option_checks.h"
#include "cli/suggestion.h"
#include "nlohmann/json.hpp"

namespace qlarank {

CLI::App* CommandSet::Add(const std::string& name,
                          const std::string& description, CommandBody body) {
  return AddBelow(&app_, name, description, std::move(body));
}

CLI::App* CommandSet::AddBelow(CLI::App* parent, const std::string& name,
                               const std::string& description,
                               CommandBody body) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->fallthrough();  // --server, --json, ... may follow the subcommand
  command->callback([this, body = std::move(body)] { chosen_ = body; });
  return command;
}

absl::StatusOr<ExitCode> CommandSet::RunChosen() const { return chosen_(); }

namespace {

void AddSecurityOptions(CLI::App& app, SecurityFiles& files) {
  const auto add = [&](const char* name, std::string& path, const char* what,
                       const char* variable) {
    app.add_option(name, path, what)->envname(variable)->type_name("FILE");
  };
  add("--tls-ca", files.tls_ca,
      "Use TLS, and trust a server with a certificate of these authorities",
      "QLARANK_TLS_CA");
  add("--tls-cert", files.tls_cert, "Client certificate, for TLS",
      "QLARANK_TLS_CERT");
  add("--tls-key", files.tls_key, "Its private key", "QLARANK_TLS_KEY");
  add("--token-file", files.token, "Holds the token to call with",
      "QLARANK_TOKEN_FILE");
}

absl::StatusOr<ExitCode> SecureAndRun(const SecurityFiles& files,
                                      CommandContext& context,
                                      const CommandSet& commands) {
  absl::StatusOr<ClientSecurity> security =
      LoadClientSecurity(files, {context.server, context.admin_server});
  if (!security.ok()) return security.status();
  context.security = *std::move(security);
  return commands.RunChosen();
}

// What was typed where a subcommand was expected, told as such; "" when that is
// not the problem.
std::string UnknownCommand(const CLI::App& app) {
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::App* command :
       at->get_subcommands([](const CLI::App* sub) {
         return !sub->get_name().empty();  // not a group of options
       })) {
    names.push_back(command->get_name());
  }
  if (names.empty() || rest.empty() || rest.front().starts_with("-")) return "";
  const std::string nearest = Nearest(rest.front(), names);
  return absl::StrCat("\"", rest.front(), "\" is no command",
                      nearest.empty()
                          ? absl::StrCat("; ", at->get_name(),
                                         " --help lists them")
                          : absl::StrCat("; did you mean ", nearest, "?"));
}

// The one form of every error: {"error": {...}} with --json, else a line.
void PrintError(absl::string_view code, const std::string& message, bool json,
                std::ostream& err) {
  if (json) {
    err << nlohmann::json{{"error",
                           {{"code", std::string(code)}, {"message", message}}}}
               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
        << "\n";
  } else {
    err << "qlarank: " << code << ": " << message << "\n";
  }
}

ExitCode ExplainUsage(const CLI::App& app, const CLI::ParseError& error,
                      bool json, std::ostream& out, std::ostream& err) {
  if (error.get_exit_code() == 0) {  // --help
    app.exit(error, out, err);
    return ExitCode::kOk;
  }
  std::string problem = UnknownCommand(app);
  if (problem.empty()) problem = error.what();
  PrintError("INVALID_ARGUMENT", problem, json, err);
  if (!json) err << "Run with --help for more information.\n";
  return ExitCode::kBadInput;
}

}  // namespace

ExitCode RunCommandLine(int argc, const char* const* argv, std::ostream& out,
                        std::ostream& err, bool err_is_terminal) {
  CLI::App app("Talks to a qlarank server.", "qlarank");
  CommandContext context{
      .out = out, .err = err, .err_is_terminal = err_is_terminal};
  app.add_option("--server", context.server, "Address of the server")
      ->envname("QLARANK_SERVER")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--admin-server", context.admin_server,
                 "Its address for operators: what erases or changes")
      ->envname("QLARANK_ADMIN_SERVER")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  SecurityFiles files;
  AddSecurityOptions(app, files);
  app.add_option("--timeout", context.timeout_s, "Seconds that a call may take")
      ->type_name("S")
      ->check(Seconds(/*zero_allowed=*/false))
      ->capture_default_str();
  app.add_flag("--json", context.json, "Print JSON, for scripts");
  app.require_subcommand(1);
  app.footer(kExitCodeHelp);

  CommandSet commands(app, context);
  AddImportCommand(commands);
  AddExportCommand(commands);
  AddAppendCommand(commands);
  AddRankCommand(commands);
  AddStateCommand(commands);
  AddSummaryCommand(commands);
  AddDeleteUserCommand(commands);
  AddServeCheckCommand(commands);
  AddServerInfoCommand(commands);
  AddModelCommand(commands);
  AddItemsCommand(commands);
  AddStoreCommand(commands);
  AddAdminCommands(commands);
  AddEvaluateCommand(commands);

  // Known before the rest is: errors of the rest are printed so.
  const bool json = std::any_of(argv, argv + argc, [](const char* argument) {
    return absl::string_view(argument) == "--json";
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return ExplainUsage(app, e, json, out, err);
  }
  const absl::StatusOr<ExitCode> result =
      SecureAndRun(files, context, commands);
  if (result.ok()) return *result;
  PrintError(absl::StatusCodeToString(result.status().code()),
             std::string(result.status().message()), context.json, err);
  return ExitCodeFor(result.status());
}

}  // namespace qlarank

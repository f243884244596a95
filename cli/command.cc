#include "cli/command.h"

#include <utility>

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
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--json", context.json, "Print JSON, for scripts");
  app.require_subcommand(1);
  app.footer(kExitCodeHelp);

  CommandSet commands(app, context);
  AddImportCommand(commands);
  AddAppendCommand(commands);
  AddRankCommand(commands);
  AddStateCommand(commands);
  AddSummaryCommand(commands);
  AddDeleteUserCommand(commands);
  AddServeCheckCommand(commands);
  AddModelCommand(commands);
  AddStoreCommand(commands);
  AddAdminCommands(commands);
  AddEvaluateCommand(commands);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e, out, err) == 0 ? ExitCode::kOk : ExitCode::kBadInput;
  }
  const absl::StatusOr<ExitCode> result =
      SecureAndRun(files, context, commands);
  if (result.ok()) return *result;
  err << "qlarank: " << absl::StatusCodeToString(result.status().code()) << ": "
      << result.status().message() << "\n";
  return ExitCodeFor(result.status());
}

}  // namespace qlarank

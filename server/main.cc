// qlarank_server: loads a configuration and serves it until told to stop.
//
// Exit codes: 0 stopped as asked; 1 could not start or flush; 2 the command
// line or the configuration is wrong; 3 stopped at once by a second signal.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/config.h"
#include "server/check_files.h"
#include "server/metrics/version.h"
#include "server/ops/file_limit.h"
#include "server/ops/grpc_log.h"
#include "server/ops/lifecycle.h"
#include "server/ops/logging.h"
#include "server/ops/plain_locks.h"
#include "server/ops/protobuf_log.h"
#include "server/ops/termination_signals.h"
#include "server/rebuild_command.h"
#include "server/server.h"

ABSL_FLAG(std::string, config_file, "",
          "The configuration: a textproto of qlarank.config.v1.ServerConfig. "
          "config/example.textproto shows every field.");
ABSL_FLAG(bool, validate_config, false,
          "Check the configuration and the files that it names, say what is "
          "wrong with them, and exit.");
ABSL_FLAG(bool, rebuild_states, false,
          "Make every user's states anew from the event log, write their "
          "snapshots, and exit. No server may have the store open.");
ABSL_FLAG(bool, print_config, false,
          "Print the configuration with its defaults written out, and exit.");

namespace qlarank {
namespace {

constexpr absl::string_view kThisFile = "server/main.cc";

constexpr int kExitStopped = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitAtOnce = 3;

int Serve(const ServerOptions& options) {
  // Before any thread is started.
  TerminationSignals::Block();
  // A peer that went away is an error of that write, not the end of us.
  std::signal(SIGPIPE, SIG_IGN);
  InitLogging(options.log);
  RouteGrpcLog();
  RaiseFileLimit();
  RouteProtobufLog();
  StopRequest stop([] { _exit(kExitAtOnce); });
  TerminationSignals signals([&stop](int signal) {
    LogInfo("told to stop", {{"signal", signal}});
    stop.Request();
  });
  LogInfo("starting", {{"version", BuildVersion()}});
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server.ok()) {
    LogError("cannot start", {{"error", server.status()}});
    return kExitFailed;
  }
  stop.Wait();
  return (*server)->Shutdown().ok() ? kExitStopped : kExitFailed;
}

int RebuildStates(const ServerOptions& options) {
  InitLogging(options.log);
  const absl::Status status = RebuildConfiguredStates(options);
  if (status.ok()) return kExitStopped;
  LogError("not everything could be rebuilt", {{"error", status}});
  return kExitFailed;
}

int Validate(const ServerOptions& options, const std::string& path) {
  const absl::Status files = CheckConfiguredFiles(options, path);
  if (!files.ok()) {
    std::cerr << files.message() << "\n";
    return kExitUsage;
  }
  std::cout << path << ": ok\n";
  return 0;
}

int Run() {
  const std::string path = absl::GetFlag(FLAGS_config_file);
  if (path.empty()) {
    std::cerr << "--config_file is required; see --help\n";
    return kExitUsage;
  }
  const absl::StatusOr<ServerOptions> options = LoadServerConfig(path);
  if (!options.ok()) {
    std::cerr << options.status().message() << "\n";
    return kExitUsage;
  }
  if (absl::GetFlag(FLAGS_print_config)) {
    std::cout << ToTextproto(*options);
    return 0;
  }
  if (absl::GetFlag(FLAGS_validate_config)) return Validate(*options, path);
  if (absl::GetFlag(FLAGS_rebuild_states)) return RebuildStates(*options);
  return Serve(*options);
}

void ParseCommandLine(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "ranks candidates from users' states, over gRPC.\n"
      "  qlarank_server --config_file=config/demo.textproto");
  absl::FlagsUsageConfig config;
  config.contains_helpshort_flags = [](absl::string_view file) {
    return absl::EndsWith(file, kThisFile);
  };
  // Not the path that it had where it was compiled.
  config.normalize_filename = [](absl::string_view file) {
    return std::string(absl::EndsWith(file, kThisFile) ? kThisFile : file);
  };
  config.contains_help_flags = config.contains_helpshort_flags;
  config.version_string = [] {
    return absl::StrCat("qlarank_server ", BuildVersion(), "\n");
  };
  absl::SetFlagsUsageConfig(config);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    std::cerr << "unexpected argument \"" << rest[1] << "\"; see --help\n";
    std::exit(kExitUsage);
  }
}

}  // namespace
}  // namespace qlarank

int main(int argc, char** argv) {
  qlarank::LockWithoutLookingForDeadlocks();
  qlarank::ParseCommandLine(argc, argv);
  return qlarank::Run();
}

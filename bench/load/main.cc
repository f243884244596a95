// Sends Rank requests to a server and says how long they took, as JSON.
//
//   load_client --server=127.0.0.1:8500 --users=1000 --items=20000
//     small:open:100:50 large:closed:4:5000
//
// bench/load/flow.h says how a flow is written.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "bench/load/load_run.h"

ABSL_FLAG(std::string, server, "127.0.0.1:8500",
          "IPv4 host:port of the server");
ABSL_FLAG(std::string, user_prefix, "user-",
          "users are <prefix>0, <prefix>1..");
ABSL_FLAG(uint64_t, users, 1, "number of users");
ABSL_FLAG(uint64_t, items, 1, "candidates are of the ids 1 ... items");
ABSL_FLAG(std::string, item_file, "",
          "file with the ids of items, instead of 1 ... items");
ABSL_FLAG(int64_t, request_second, 0,
          "time of every request, in seconds; 0: the server's clock");
ABSL_FLAG(absl::Duration, warm_up, absl::Seconds(1), "before measuring");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(5), "of the measurement");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(30), "deadline of a request");
ABSL_FLAG(
    std::string, source_address, "",
    "IPv4 address of this machine to connect from: to the server, another "
    "client");
ABSL_FLAG(std::string, timeline, "",
          "file to write what became of every measured request to "
          "(bench/load/timeline.h)");
ABSL_FLAG(uint32_t, seed, 1, "of users, items and arrivals");

namespace qlarank::bench {
namespace {

LoadRun::Options OptionsFromFlags() {
  LoadRun::Options options;
  options.server = absl::GetFlag(FLAGS_server);
  options.population = {absl::GetFlag(FLAGS_user_prefix),
                        absl::GetFlag(FLAGS_users), absl::GetFlag(FLAGS_items),
                        absl::GetFlag(FLAGS_request_second)};
  options.warm_up = absl::GetFlag(FLAGS_warm_up);
  options.duration = absl::GetFlag(FLAGS_duration);
  options.timeout = absl::GetFlag(FLAGS_timeout);
  options.seed = absl::GetFlag(FLAGS_seed);
  options.source_address = absl::GetFlag(FLAGS_source_address);
  options.timeline = absl::GetFlag(FLAGS_timeline);
  return options;
}

// False where the file has none.
bool ReadItems(const std::string& path, std::vector<uint64_t>& ids) {
  std::ifstream stream(path);
  for (uint64_t id; stream >> id;) ids.push_back(id);
  return stream.eof() && !ids.empty();
}

int Main(const std::vector<char*>& arguments) {
  LoadRun::Options options = OptionsFromFlags();
  const std::string item_file = absl::GetFlag(FLAGS_item_file);
  if (!item_file.empty() &&
      !ReadItems(item_file, options.population.item_ids)) {
    fprintf(stderr, "load_client: no ids are in --item_file=%s\n",
            item_file.c_str());
    return 2;
  }
  if (options.population.users == 0 || options.population.items == 0) {
    fprintf(stderr, "load_client: --users and --items must be above 0\n");
    return 2;
  }
  if (!Timeline(options.timeline).ok()) {
    fprintf(stderr, "load_client: cannot write --timeline=%s\n",
            options.timeline.c_str());
    return 2;
  }
  std::vector<Flow> flows;
  for (size_t i = 1; i < arguments.size(); ++i) {
    absl::StatusOr<Flow> flow = ParseFlow(arguments[i]);
    if (!flow.ok()) {
      fprintf(stderr, "load_client: %s\n", flow.status().ToString().c_str());
      return 2;
    }
    flows.push_back(*std::move(flow));
  }
  if (flows.empty()) {
    fprintf(stderr, "load_client: no flow was given\n");
    return 2;
  }
  const auto report = LoadRun(options, std::move(flows)).Run();
  if (!report.ok()) {
    fprintf(stderr, "load_client: %s\n", report.status().ToString().c_str());
    return 1;
  }
  std::cout << report->dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "load_client [flags] NAME:closed|open:AMOUNT:CANDIDATES...");
  return qlarank::bench::Main(absl::ParseCommandLine(argc, argv));
}

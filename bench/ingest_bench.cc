// Ingestion: events through StreamEvents into RocksDB, each batch synced before
// it is acknowledged, client and server in one process on the same processors.
//
//   ingest_bench [--bundle=FOLDER] [--users=N] [--events=N]
//                [--rate=EVENTS_PER_S] [--seconds=N] [--json=FILE]
//
// First as fast as it goes: appended_per_s until the last acknowledgement,
// folded_per_s until every user's state holds her whole log. Then at --rate:
// freshness, from an event's acknowledgement until a plain Rank sees it. At
// last the server stops and all states are rebuilt from the log.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/event_load.h"
#include "bench/freshness_probe.h"
#include "bench/random_bundle.h"
#include "cli/client.h"
#include "server/ops/logging.h"
#include "server/pipeline/state_rebuild.h"
#include "server/server.h"
#include "server/services.h"

ABSL_FLAG(std::string, bundle, "",
          "Model to fold with. Default: random weights, d=128, H=4, L=2, a "
          "convolution of 4.");
ABSL_FLAG(uint64_t, users, 2'500, "Users that events are spread over.");
ABSL_FLAG(uint64_t, events, 1'000'000, "Events to send as fast as it goes.");
ABSL_FLAG(double, rate, 50'000, "Events per second to measure freshness at.");
ABSL_FLAG(uint64_t, seconds, 10, "How long to do so; 0: not at all.");
ABSL_FLAG(std::string, json, "",
          "File to write the figures to. Default: none.");

namespace qlarank::bench {
namespace {

constexpr uint64_t kItems = 25'000;
constexpr size_t kWindowBatches = 24;
constexpr int kProbes = 2;

template <typename T>
T Check(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  fprintf(stderr, "ingest_bench: %s\n", result.status().ToString().c_str());
  std::exit(1);
}
void Check(const absl::Status& status) {
  Check(status.ok() ? absl::StatusOr<bool>(true) : status);
}

// The bundle's folder; a random one is written below `folder`.
std::string PrepareBundle(const std::string& folder) {
  const std::string given = absl::GetFlag(FLAGS_bundle);
  if (!given.empty()) return given;
  Check(WriteRandomBundle(
      PlainSpec(/*d_model=*/128, /*num_heads=*/4, /*num_layers=*/2,
                /*conv_width=*/4, model::v1::TARGET_AWARE_ALL_LAYERS, kItems),
      folder + "/model"));
  return folder + "/model";
}

ServerOptions OptionsIn(const std::string& folder) {
  ServerOptions options;
  options.listen.grpc_address = "127.0.0.1:0";
  options.listen.http_address = "127.0.0.1:0";
  ModelOptions& model = options.models.emplace_back();
  model.name = "bench";
  model.version = 1;
  model.path = PrepareBundle(folder);
  model.default_model = true;
  options.store.path = folder + "/store";
  options.rank.workers = 2;
  options.ingest.fold_threads = 2;
  options.log.level = LogLevel::kError;
  return options;
}

// Returns once every user's state holds all of her log.
void WaitUntilFolded(const Client& client, uint64_t users) {
  for (uint64_t user = 0; user < users; ++user) {
    v1::GetUserStateRequest request;
    request.set_user_id(EventLoad::UserId(user));
    while (true) {
      const auto reply = Check(client.GetUserState(request));
      if (reply.state().folded_sequence() == reply.state().log_sequence()) {
        break;
      }
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
}

void MeasureThroughput(const Client& client, EventLoad& load,
                       nlohmann::ordered_json& figures) {
  const uint64_t events = absl::GetFlag(FLAGS_events);
  const absl::Time begin = absl::Now();
  Check(load.SendAll(events));
  Check(load.WaitAcknowledged());
  const double appended = absl::ToDoubleSeconds(absl::Now() - begin);
  WaitUntilFolded(client, absl::GetFlag(FLAGS_users));
  const double folded = absl::ToDoubleSeconds(absl::Now() - begin);
  figures["appended_per_s"] = events / appended;
  figures["folded_per_s"] = events / folded;
}

double PercentileMs(const std::vector<absl::Duration>& sorted, double share) {
  const size_t index = share * (sorted.size() - 1) + 0.5;
  return absl::ToDoubleMilliseconds(sorted[index]);
}

void MeasureFreshness(const Client& client, EventLoad& load,
                      nlohmann::ordered_json& figures) {
  const absl::Duration duration = absl::Seconds(absl::GetFlag(FLAGS_seconds));
  std::vector<std::unique_ptr<FreshnessProbe>> probes;
  for (int i = 0; i < kProbes; ++i) {
    probes.push_back(
        std::make_unique<FreshnessProbe>(client, absl::StrCat("probe-", i)));
  }
  const absl::Time begin = absl::Now();
  Check(load.SendAtRate(absl::GetFlag(FLAGS_rate), duration));
  // More than `duration` when the server could not keep up.
  const double took = absl::ToDoubleSeconds(absl::Now() - begin);
  std::vector<absl::Duration> samples;
  for (const auto& probe : probes) {
    const auto more = Check(probe->Stop());
    samples.insert(samples.end(), more.begin(), more.end());
  }
  if (samples.empty()) Check(absl::InternalError("no probe saw its event"));
  std::sort(samples.begin(), samples.end());
  figures["rate_per_s"] =
      absl::GetFlag(FLAGS_rate) * absl::ToDoubleSeconds(duration) / took;
  figures["freshness_samples"] = samples.size();
  figures["freshness_p50_ms"] = PercentileMs(samples, 0.50);
  figures["freshness_p99_ms"] = PercentileMs(samples, 0.99);
  figures["freshness_max_ms"] = PercentileMs(samples, 1);
}

// All states anew from the log that was written, as --rebuild_states does it.
void MeasureRebuild(const ServerOptions& options,
                    nlohmann::ordered_json& figures) {
  const auto store = Check(OpenConfiguredStore(options.store));
  const auto engine =
      Check(Engine::Create(Check(Bundle::Load(options.models[0].path))));
  Check(store->OpenFingerprint(engine->state_fingerprint()));
  Metrics metrics;
  RebuildOptions rebuild;
  rebuild.num_threads = options.ingest.fold_threads;
  const absl::Time begin = absl::Now();
  const auto totals = Check(RebuildStates(*engine, *store, metrics, rebuild));
  figures["rebuild_events"] = totals.events;
  figures["rebuild_events_per_s_per_core"] =
      totals.events / absl::ToDoubleSeconds(absl::Now() - begin) /
      rebuild.num_threads;
}

void Run(const std::string& folder) {
  const ServerOptions options = OptionsIn(folder);
  InitLogging(options.log);
  auto server = Check(Server::Start(options));
  const Client client(absl::StrCat("127.0.0.1:", server->grpc_port()),
                      absl::Seconds(60));
  nlohmann::ordered_json figures;
  figures["bundle"] = absl::GetFlag(FLAGS_bundle).empty()
                          ? "random d=128 H=4 L=2 conv=4"
                          : absl::GetFlag(FLAGS_bundle);
  figures["users"] = absl::GetFlag(FLAGS_users);
  figures["events"] = absl::GetFlag(FLAGS_events);
  {
    // The grocery bundle's items are not 1 ... kItems; unknown ones cost as
    // much.
    EventLoad load(client, {absl::GetFlag(FLAGS_users), kItems},
                   kWindowBatches);
    MeasureThroughput(client, load, figures);
    if (absl::GetFlag(FLAGS_seconds) > 0) {
      MeasureFreshness(client, load, figures);
    }
    Check(load.WaitAcknowledged());
  }
  Check(server->Shutdown());
  server.reset();
  MeasureRebuild(options, figures);
  for (const auto& [name, value] : figures.items()) {
    printf("%-20s %s\n", name.c_str(), value.dump().c_str());
  }
  const std::string json = absl::GetFlag(FLAGS_json);
  if (!json.empty()) std::ofstream(json) << figures.dump(2) << "\n";
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures ingestion; see bench/ingest_bench.cc");
  absl::ParseCommandLine(argc, argv);
  std::string folder =
      std::filesystem::temp_directory_path() / "qlarank_ingest_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  qlarank::bench::Run(folder);
  std::filesystem::remove_all(folder);
  return 0;
}

// Streams random events into a server, each batch synced before it is
// acknowledged, and says how fast that went, as JSON.
//
//   event_client --server=127.0.0.1:8500 --users=2500 --items=20000
//     --events=500000 [--rate=50000 --freshness]
//
// With --rate it sends a batch whenever that many events are due; without, as
// fast as the server takes them. Events are made before the clock starts.

#include <time.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/load/freshness.h"
#include "cli/client.h"
#include "cli/event_stream.h"

ABSL_FLAG(std::string, server, "127.0.0.1:8500", "host:port of the server");
ABSL_FLAG(std::string, source, "bench", "who numbers the events");
ABSL_FLAG(std::string, user_prefix, "user-",
          "users are <prefix>0, <prefix>1..");
ABSL_FLAG(uint64_t, users, 1, "number of users");
ABSL_FLAG(uint64_t, first_user, 0, "number in the first user's id");
ABSL_FLAG(bool, in_turn, false, "users in turn, instead of at random");
ABSL_FLAG(uint64_t, items, 1, "events are of the items 1 ... items");
ABSL_FLAG(uint64_t, events, 100'000, "how many to send");
ABSL_FLAG(double, rate, 0, "events a second; 0: as fast as they are taken");
ABSL_FLAG(uint64_t, batch, 1'000, "events in a batch");
ABSL_FLAG(uint64_t, lanes, 8, "batches under way");
ABSL_FLAG(uint64_t, first_sequence, 1,
          "of the events: a later run of a source goes on where it ended");
ABSL_FLAG(int64_t, first_second, 1'500'000'000, "time of the first event");
ABSL_FLAG(bool, freshness, false, "measure when events count in rankings");

namespace qlarank::bench {
namespace {

void Check(const absl::Status& status) {
  if (status.ok()) return;
  fprintf(stderr, "event_client: %s\n", status.ToString().c_str());
  std::exit(1);
}

std::vector<v1::UserEvent> MakeEvents() {
  const uint64_t users = absl::GetFlag(FLAGS_users);
  const uint64_t first_user = absl::GetFlag(FLAGS_first_user);
  const uint64_t items = absl::GetFlag(FLAGS_items);
  const bool in_turn = absl::GetFlag(FLAGS_in_turn);
  std::mt19937_64 random(absl::GetFlag(FLAGS_first_sequence));
  std::vector<v1::UserEvent> events(absl::GetFlag(FLAGS_events));
  for (uint64_t i = 0; i < events.size(); ++i) {
    const uint64_t user = first_user + (in_turn ? i : random()) % users;
    events[i].set_user_id(
        absl::StrCat(absl::GetFlag(FLAGS_user_prefix), user));
    events[i].set_sequence(absl::GetFlag(FLAGS_first_sequence) + i);
    events[i].mutable_event()->set_item_id(1 + random() % items);
    events[i].mutable_event()->mutable_time()->set_seconds(
        absl::GetFlag(FLAGS_first_second) + static_cast<int64_t>(i));
  }
  return events;
}

double ProcessSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// Returns the seconds until all was acknowledged.
double Send(std::vector<v1::UserEvent> events, EventStream& stream) {
  const double rate = absl::GetFlag(FLAGS_rate);
  const uint64_t batch = absl::GetFlag(FLAGS_batch);
  const absl::Time begin = absl::Now();
  for (uint64_t i = 0; i < events.size(); ++i) {
    if (rate > 0 && i % batch == 0) {
      absl::SleepFor(begin + absl::Seconds(i / rate) - absl::Now());
    }
    Check(stream.Add({std::move(events[i])}));
  }
  Check(stream.Finish());
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

nlohmann::json Run() {
  Client client(absl::GetFlag(FLAGS_server), absl::Seconds(60));
  EventStream::Options options;
  options.source = absl::GetFlag(FLAGS_source);
  options.batch_events = absl::GetFlag(FLAGS_batch);
  options.lanes = absl::GetFlag(FLAGS_lanes);
  EventStream stream(client, options);
  std::vector<v1::UserEvent> events = MakeEvents();
  const double count = static_cast<double>(events.size());

  std::atomic<bool> stop = false;
  Latencies lags;
  absl::Status probed;
  std::thread probe;
  if (absl::GetFlag(FLAGS_freshness)) {
    probe = std::thread([&] {
      probed = ProbeFreshness(client, options.source,
                              absl::GetFlag(FLAGS_first_second), stop, lags);
    });
  }
  const double processor_begin = ProcessSeconds();
  const double seconds = Send(std::move(events), stream);
  const double processor = ProcessSeconds() - processor_begin;
  stop = true;
  if (probe.joinable()) probe.join();
  Check(probed);
  nlohmann::json json{{"events", count},
                      {"applied", stream.totals().applied},
                      {"seconds", seconds},
                      {"per_second", count / seconds},
                      {"resent_batches", stream.totals().resent_batches},
                      {"client_processors", processor / seconds}};
  if (absl::GetFlag(FLAGS_freshness)) json["freshness"] = lags.ToJson();
  return json;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("event_client [flags]");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_users) == 0 || absl::GetFlag(FLAGS_items) == 0 ||
      absl::GetFlag(FLAGS_events) == 0 || absl::GetFlag(FLAGS_batch) == 0 ||
      absl::GetFlag(FLAGS_first_sequence) == 0) {
    fprintf(stderr,
            "event_client: --users, --items, --events, --batch and "
            "--first_sequence must be above 0\n");
    return 2;
  }
  std::cout << qlarank::bench::Run().dump() << "\n";
  return 0;
}

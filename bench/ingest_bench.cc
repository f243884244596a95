// Durable import: events through StreamEvents into RocksDB, each batch synced
// before it is acknowledged, client and server on the same processors. Also how
// long folding them takes to catch up.
//
//   ingest_bench [EVENTS]

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/random_bundle.h"
#include "cli/client.h"
#include "cli/event_stream.h"
#include "model/engine.h"
#include "server/server.h"

namespace qlarank::bench {
namespace {

constexpr uint64_t kUsers = 2'500;
constexpr uint64_t kItems = 25'000;
constexpr size_t kBatchEvents = 1'000;
constexpr int64_t kFirstSecond = 1'500'000'000;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  fprintf(stderr, "ingest_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

// The shape of the shipped grocery model.
model::v1::ModelSpec ModelShape() {
  return PlainSpec(/*d_model=*/64, /*num_heads=*/4, /*num_layers=*/4,
                   /*conv_width=*/4, model::v1::TARGET_AWARE_DEDICATED_BLOCK,
                   kItems);
}

ServerOptions OptionsIn(const std::string& folder) {
  ServerOptions options;
  options.listen.grpc_address = "127.0.0.1:0";
  options.listen.http_address = "127.0.0.1:0";
  ModelOptions& model = options.models.emplace_back();
  model.name = "random";
  model.version = 1;
  model.path = folder + "/model";
  model.default_model = true;
  options.store.path = folder + "/store";
  options.log.level = LogLevel::kWarning;
  return options;
}

v1::UserEvent RandomEvent(uint64_t sequence, std::mt19937_64& random) {
  v1::UserEvent event;
  event.set_user_id(absl::StrCat("user-", random() % kUsers));
  event.set_sequence(sequence);
  event.mutable_event()->set_item_id(1 + random() % kItems);
  event.mutable_event()->mutable_time()->set_seconds(
      kFirstSecond + static_cast<int64_t>(sequence));
  return event;
}

// Returns once every user's state holds all of her log.
void WaitUntilFolded(const Client& client) {
  for (uint64_t user = 0; user < kUsers; ++user) {
    v1::GetUserStateRequest request;
    request.set_user_id(absl::StrCat("user-", user));
    while (true) {
      const auto reply = client.GetUserState(request);
      Check(reply.status());
      if (reply->state().folded_sequence() == reply->state().log_sequence()) {
        break;
      }
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
}

void Import(uint64_t num_events, const std::string& folder) {
  Check(WriteRandomBundle(ModelShape(), folder + "/model"));
  auto server = Server::Start(OptionsIn(folder));
  Check(server.status());
  Client client(absl::StrCat("127.0.0.1:", (*server)->grpc_port()),
                absl::Seconds(60));
  EventStream::Options stream_options;
  stream_options.source = "bench";
  stream_options.batch_events = kBatchEvents;
  EventStream stream(client, stream_options);
  std::mt19937_64 random(1);

  const absl::Time begin = absl::Now();
  for (uint64_t i = 1; i <= num_events; ++i) {
    Check(stream.Add(RandomEvent(i, random)));
  }
  Check(stream.Finish());
  const absl::Duration durable = absl::Now() - begin;
  WaitUntilFolded(client);
  const absl::Duration folded = absl::Now() - begin;
  Check((*server)->Shutdown());

  printf("%-34s %10.0f events/s  (%llu events, %llu users, %.1f s)\n",
         "durable import, acknowledged:",
         num_events / absl::ToDoubleSeconds(durable),
         static_cast<unsigned long long>(num_events),
         static_cast<unsigned long long>(kUsers),
         absl::ToDoubleSeconds(durable));
  printf("%-34s %10.0f events/s  (%.1f s)\n", "until folded into every state:",
         num_events / absl::ToDoubleSeconds(folded),
         absl::ToDoubleSeconds(folded));
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  uint64_t num_events = 500'000;
  if (argc > 1 && !absl::SimpleAtoi(argv[1], &num_events)) {
    fprintf(stderr, "ingest_bench: EVENTS: \"%s\" is not a number\n", argv[1]);
    return 2;
  }
  std::string folder =
      std::filesystem::temp_directory_path() / "qlarank_ingest_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  qlarank::bench::Import(num_events, folder);
  std::filesystem::remove_all(folder);
  return 0;
}

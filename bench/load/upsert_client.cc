// Upserts new items with random embeddings at a rate, and says how fast that
// went, as JSON.
//
//   upsert_client --server=127.0.0.1:8502 --model=grocery --version=1 --width=64
//     --first_item=1000000 --items=100000 --rate=10000
//
// A request is sent when its items are due, and the next not before its answer.
// All are made before the clock starts.

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "bench/load/latencies.h"
#include "cli/client.h"

ABSL_FLAG(std::string, server, "127.0.0.1:8502",
          "host:port that operators call");
ABSL_FLAG(std::string, model, "", "that the embeddings are for");
ABSL_FLAG(uint64_t, version, 1, "of the model");
ABSL_FLAG(uint64_t, width, 64, "of an embedding");
ABSL_FLAG(uint64_t, first_item, 1, "items have this id and those behind it");
ABSL_FLAG(uint64_t, items, 100'000, "how many");
ABSL_FLAG(uint64_t, batch, 1'000, "items of a request");
ABSL_FLAG(double, rate, 10'000, "items a second");

namespace qlarank::bench {
namespace {

void Check(const absl::Status& status) {
  if (status.ok()) return;
  fprintf(stderr, "upsert_client: %s\n", status.ToString().c_str());
  std::exit(1);
}

std::vector<v1::UpsertItemsRequest> MakeRequests() {
  const uint64_t first = absl::GetFlag(FLAGS_first_item);
  const uint64_t items = absl::GetFlag(FLAGS_items);
  std::mt19937_64 random(first);
  std::uniform_real_distribution<float> value(-.1f, .1f);
  std::vector<v1::UpsertItemsRequest> requests;
  for (uint64_t i = 0; i < items; ++i) {
    if (i % absl::GetFlag(FLAGS_batch) == 0) {
      v1::UpsertItemsRequest& request = requests.emplace_back();
      request.set_model_name(absl::GetFlag(FLAGS_model));
      request.set_model_version(absl::GetFlag(FLAGS_version));
    }
    v1::UpsertedItem& item = *requests.back().add_items();
    item.set_item_id(first + i);
    for (uint64_t k = 0; k < absl::GetFlag(FLAGS_width); ++k) {
      item.add_embedding(value(random));
    }
  }
  return requests;
}

nlohmann::json Run() {
  const Client client(absl::GetFlag(FLAGS_server), absl::Seconds(60));
  const std::vector<v1::UpsertItemsRequest> requests = MakeRequests();
  Latencies latencies;
  uint64_t sent = 0, upserted = 0;
  const absl::Time begin = absl::Now();
  for (const v1::UpsertItemsRequest& request : requests) {
    absl::SleepFor(begin + absl::Seconds(sent / absl::GetFlag(FLAGS_rate)) -
                   absl::Now());
    const absl::Time asked = absl::Now();
    const auto response = client.UpsertItems(request);
    Check(response.status());
    latencies.Answered(absl::Now() - asked);
    sent += request.items_size();
    upserted += response->upserted();
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  nlohmann::json json = latencies.ToJson();
  json["upserted"] = upserted;
  json["seconds"] = seconds;
  json["per_second"] = static_cast<double>(upserted) / seconds;
  return json;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("upsert_client [flags]");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_model).empty() || absl::GetFlag(FLAGS_batch) == 0 ||
      !(absl::GetFlag(FLAGS_rate) > 0)) {
    fprintf(stderr,
            "upsert_client: --model must be given, and --batch and --rate must "
            "be above 0\n");
    return 2;
  }
  std::cout << qlarank::bench::Run().dump() << "\n";
  return 0;
}

// Runs the fuzz target of stored records for a moment: seeded, so that a
// failure comes back.
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/records.h"
#include "tests/fuzz/mutations.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace qlarank {
namespace {

std::vector<std::string> Corpus() {
  LoggedEvent event;
  event.item_id = 42;
  event.action = "purchase";
  event.source = "kafka-0";
  event.source_sequence = 300;
  event.features = {1.0f, -2.5f};
  UserHead head;
  head.incarnation = 7;
  head.last_sequence = 300;
  head.watermarks = {{"a", 1}, {"b", 2}};
  Snapshot snapshot;
  snapshot.incarnation = 7;
  snapshot.folded_sequence = 256;
  snapshot.state = std::string(64, '\x3f');
  std::vector<std::string> corpus = {"",
                                     UserKey("user"),
                                     LogKey("user", 1),
                                     EncodeEvent("key", event),
                                     EncodeHead("key", head),
                                     EncodeSnapshot("key", "f", snapshot)};
  // The messages alone: the target puts a checksum before them.
  for (size_t i = 3; i < 6; ++i) corpus.push_back(corpus[i].substr(4));
  return corpus;
}

TEST(StoredRecordReplay, SurvivesTwoSecondsOfMutations) {
  const std::vector<std::string> corpus = Corpus();
  for (const std::string& bytes : corpus) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()),
                           bytes.size());
  }
  std::mt19937_64 random(20240603);
  int runs = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const std::string bytes = Mutate(corpus, random);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()),
                           bytes.size());
  }
  RecordProperty("runs", runs);
  EXPECT_GT(runs, 100);
}

}  // namespace
}  // namespace qlarank

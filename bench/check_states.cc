// Compares stored states with what their users' logs give, folded anew event by
// event, bit for bit. No server may have the store open.
//
//   check_states STORE BUNDLE EVERY
//
// Looks at one user of EVERY, and prints {"users", "same", "different",
// "missing", "events"}: a user of `missing` has no state of the model.

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "model/bundle.h"
#include "model/engine.h"
#include "nlohmann/json.hpp"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::bench {
namespace {

struct Found {
  uint64_t users = 0, same = 0, different = 0, missing = 0, events = 0;
};

// The bytes of the state of a user's first `num_events` events.
absl::StatusOr<std::string> FreshFold(const Engine& engine,
                                      const EventLog& log,
                                      absl::string_view user_id,
                                      uint64_t num_events,
                                      EngineScratch& scratch) {
  const auto events = log.ReadEvents(user_id, 1, num_events);
  if (!events.ok()) return events.status();
  std::shared_ptr<const UserState> state = engine.empty_state();
  const Bundle& bundle = engine.bundle();
  for (const LoggedEvent& logged : *events) {
    const ModelEvent event = {bundle.ItemRow(logged.item_id),
                              bundle.ActionIndex(logged.action), logged.time_us,
                              logged.features};
    FoldJob job = {state, absl::MakeConstSpan(&event, 1), nullptr};
    engine.Fold(absl::MakeSpan(&job, 1), scratch);
    state = job.after;
  }
  return engine.SerializeState(*state);
}

absl::Status CheckUser(const Engine& engine, const StateStore& store,
                       absl::string_view user_id, EngineScratch& scratch,
                       Found& found) {
  const auto stored = store.GetSnapshot(engine.state_fingerprint(), user_id);
  if (!stored.ok()) return stored.status();
  ++found.users;
  if (!stored->has_value()) {
    ++found.missing;
    return absl::OkStatus();
  }
  const uint64_t num_events = (*stored)->folded_sequence;
  const auto fresh = FreshFold(engine, store, user_id, num_events, scratch);
  if (!fresh.ok()) return fresh.status();
  found.events += num_events;
  ++(*fresh == (*stored)->state ? found.same : found.different);
  return absl::OkStatus();
}

absl::StatusOr<Found> Check(const std::string& path, const std::string& folder,
                            uint64_t every) {
  const auto bundle = Bundle::Load(folder);
  if (!bundle.ok()) return bundle.status();
  const auto engine = Engine::Create(*bundle, {Precision::kF32, 0});
  if (!engine.ok()) return engine.status();
  RocksDbOptions options;
  options.path = path;
  const auto store = OpenRocksDbStateStore(options);
  if (!store.ok()) return store.status();
  absl::Status status =
      (*store)->OpenFingerprint((*engine)->state_fingerprint());
  const auto scratch = (*engine)->NewScratch();
  Found found;
  uint64_t number = 0;
  status.Update((*store)->ForEachUser(
      [&](absl::string_view user_id, const UserHead&) {
        if (number++ % every == 0) {
          status.Update(CheckUser(**engine, **store, user_id, *scratch, found));
        }
        return status.ok();
      }));
  if (!status.ok()) return status;
  return found;
}

int Main(int argc, char** argv) {
  uint64_t every = 0;
  if (argc != 4 || !absl::SimpleAtoi(argv[3], &every) || every == 0) {
    fprintf(stderr, "usage: check_states STORE BUNDLE EVERY\n");
    return 2;
  }
  const auto found = Check(argv[1], argv[2], every);
  if (!found.ok()) {
    std::cerr << "check_states: " << found.status() << "\n";
    return 1;
  }
  std::cout << nlohmann::json{{"users", found->users},
                              {"same", found->same},
                              {"different", found->different},
                              {"missing", found->missing},
                              {"events", found->events}}
                   .dump()
            << "\n";
  return 0;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) { return qlarank::bench::Main(argc, argv); }

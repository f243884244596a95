// A second process for the tests of the store: one that holds a lock, one that
// is killed.
//
//   store_helper hold PATH
//     Opens the store, prints "open" and keeps it until standard input ends.
//   store_helper churn PATH SEED
//     Appends, snapshots, deletes and creates users for ever. Prints a line
//     before and after everything durable, for whoever kills it to check:
//       append USER INCARNATION SEQUENCE     about to append up to SEQUENCE
//       appended USER INCARNATION SEQUENCE   done
//       delete USER INCARNATION / deleted USER INCARNATION
//   store_helper purge PATH
//     Purges what was erased.
#include <stdio.h>
#include <unistd.h>

#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr char kFingerprint[] = "f";
constexpr int kUsers = 8;

void Say(const std::string& line) {
  // One write a line: what is read is never half a line.
  printf("%s\n", line.c_str());
  fflush(stdout);
}

template <typename T>
void Must(const T& result) {
  if (StatusOf(result).ok()) return;
  Say(absl::StrCat("error ", StatusOf(result).ToString()));
  _exit(1);
}

int Hold(StateStore&) {
  Say("open");
  while (getchar() != EOF) {
  }
  return 0;
}

int Purge(StateStore& store) {
  Must(store.PurgeErased());
  return 0;
}

[[noreturn]] void Churn(StateStore& store, uint64_t seed) {
  std::mt19937_64 random(seed);
  Must(store.OpenFingerprint(kFingerprint));
  for (uint64_t step = 0;; ++step) {
    const std::string user = absl::StrCat("user-", random() % kUsers);
    absl::StatusOr<UserHead> head = store.GetHead(user);
    Must(head);
    const uint64_t incarnation = head->incarnation == 0
                                     ? seed * 1'000'000 + step + 1
                                     : head->incarnation;
    const std::string who = absl::StrCat(user, " ", incarnation);
    if (head->incarnation != 0 && random() % 8 == 0) {
      Say(absl::StrCat("delete ", who));
      Must(store.DeleteUser(user));
      Say(absl::StrCat("deleted ", who));
      continue;
    }
    const uint64_t first = head->last_sequence + 1;
    const uint64_t last = first + random() % 5;
    Say(absl::StrCat("append ", who, " ", last));
    Must(store.AppendEvents({MakeAppend(user, first, last, incarnation)}));
    Say(absl::StrCat("appended ", who, " ", last));
    if (random() % 3 == 0) {
      Snapshot snapshot = MakeSnapshot(user, last, incarnation);
      snapshot.state.resize(20'000, 's');  // memtables fill and are flushed
      Must(store.PutSnapshot(kFingerprint, user, snapshot));
    }
  }
}

}  // namespace
}  // namespace qlarank

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  qlarank::RocksDbOptions options = qlarank::SmallOptions(argv[2]);
  options.memtable_bytes = 1 << 20;
  auto store = qlarank::OpenRocksDbStateStore(options);
  qlarank::Must(store);
  if (std::string_view(argv[1]) == "hold") return qlarank::Hold(**store);
  if (std::string_view(argv[1]) == "purge") return qlarank::Purge(**store);
  qlarank::Churn(**store, argc > 3 ? std::stoull(argv[3]) : 1);
}

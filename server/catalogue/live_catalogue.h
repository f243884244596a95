// Items that come and go while models are served: the log of them in the store,
// and the catalogues of all engines, which follow it.
//
// A change is durable first, then every engine has it, then it is counted by
// version(), which is what owners stamp events with. So whoever folds an event
// finds all that was known when it came, and which rows a model has follows from
// its bundle and the log, however late it joins.
//
// Thread-safe. Changes and joins come one after another, and block for a sync of
// the disk or for as long as the log takes to read; nobody who ranks or folds
// waits for them.
#ifndef QLARANK_SERVER_CATALOGUE_LIVE_CATALOGUE_H_
#define QLARANK_SERVER_CATALOGUE_LIVE_CATALOGUE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "server/catalogue/known_items.h"
#include "server/metrics/catalogue_metrics.h"
#include "server/work/answered_calls.h"
#include "server/work/stand_back.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

class LiveCatalogue {
 public:
  // Reads the log. Both must outlive this. Errors are those of CatalogueLog.
  static absl::StatusOr<std::unique_ptr<LiveCatalogue>> Open(
      CatalogueLog& log, CatalogueMetrics& metrics);

  // Upserts and removals that every engine has.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Gives a model all that the log has for it, and keeps it up from then on:
  // before anything is folded or ranked under it. Nothing is kept of one that
  // could not join.
  //
  // RESOURCE_EXHAUSTED  it has no room for so many rows
  // or what CatalogueLog says.
  absl::Status Join(absl::string_view name, uint64_t version,
                    const std::shared_ptr<const Engine>& engine);
  // It follows no more. REQUIRES: nothing is folded under it any more.
  void Leave(absl::string_view name, uint64_t version);
  // Whether Join would find room for a bundle that may have so many rows.
  absl::Status CheckRoom(absl::string_view name, uint64_t version,
                         const Bundle& bundle, uint64_t most_added_rows) const;

  struct Outcome {
    uint64_t changed = 0;
    uint64_t unchanged = 0;
    uint64_t version = 0;  // of the catalogue after it
    bool repeated = false;  // it was made before, and asked for again
  };
  // Makes entries of what is new in `wanted`, which have no version yet: all of
  // them or, on an error, none. A change that was made before, as `asked` says,
  // has the outcome that it had then.
  // Errors are those of ModelAdminService.UpsertItems and RemoveItems.
  absl::StatusOr<Outcome> Change(std::vector<CatalogueEntry> wanted,
                                 const AskedChange& asked = {});
  // What Change would do, to whatever was asked.
  absl::StatusOr<Outcome> TryOut(std::vector<CatalogueEntry> wanted);

  // What the log says of an item; nullopt for nothing.
  std::optional<KnownItem> Find(uint64_t item_id) const;
  // At most `limit` items that the log knows, behind an id, in order of ids; from
  // the first on where `after` is null.
  std::vector<std::pair<uint64_t, KnownItem>> Behind(const uint64_t* after,
                                                     size_t limit) const;
  // Models that know an item, in the order in which they joined.
  std::vector<std::pair<std::string, uint64_t>> KnownTo(uint64_t item_id) const;

 private:
  struct Follower {
    std::string name;
    uint64_t version;
    std::weak_ptr<const Engine> engine;
    prometheus::Gauge* added_rows;
  };
  // An engine that follows, held.
  struct Held {
    const Follower* follower;
    std::shared_ptr<const Engine> engine;
  };

  LiveCatalogue(CatalogueLog& log, CatalogueMetrics& metrics)
      : log_(log), metrics_(metrics) {}

  // Takes up what is in the log and not here: at first all of it, later what a
  // failed write has left there.
  absl::Status CatchUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);
  // Calls `take` for the entries that may make rows for models of the bundle, and
  // some beside them, in their order and some at a time.
  using Take = absl::FunctionRef<absl::Status(absl::Span<const CatalogueEntry>)>;
  absl::Status ForEachFor(const Bundle& bundle, Take take) const;
  void Apply(absl::Span<const CatalogueEntry> entries)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);
  // Leaves of an entry what is new; false where nothing is.
  absl::StatusOr<bool> Reduce(CatalogueEntry& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);
  // RESOURCE_EXHAUSTED for a model that has no room for rows of all of them.
  static absl::Status CheckRoomFor(absl::Span<const CatalogueEntry> entries,
                                   absl::Span<const Held> engines);
  // Leaves of `wanted` what is new.
  absl::StatusOr<Outcome> Prepare(std::vector<CatalogueEntry>& wanted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);
  absl::Status Write(std::vector<CatalogueEntry> entries)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);
  std::vector<Held> Engines() const ABSL_LOCKS_EXCLUDED(mutex_);

  CatalogueLog& log_;
  CatalogueMetrics& metrics_;

  mutable absl::Mutex writer_;  // whoever changes or joins
  AnsweredCalls<Outcome> answered_ ABSL_GUARDED_BY(writer_){1000};
  // Rows of thousands of items are milliseconds of a processor that rankings
  // want; whoever changes items can wait.
  StandBackThread aside_ ABSL_GUARDED_BY(writer_);
  std::atomic<uint64_t> version_ = 0;

  mutable absl::Mutex mutex_;
  KnownItems items_ ABSL_GUARDED_BY(mutex_);
  std::vector<Follower> followers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_LIVE_CATALOGUE_H_

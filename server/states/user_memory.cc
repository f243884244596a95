#include "server/states/user_memory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "model/reading_inputs.h"
#include "server/models/not_finite.h"
#include "server/states/log_damage.h"
#include "server/work/field_error.h"

namespace qlarank {

namespace {

// An evicted state that few events have changed since its last snapshot, fewer
// than this share of the interval, is folded from that again when it is needed:
// a few microseconds each, where writing it costs as much as a hundred events.
constexpr uint64_t kEvictedShare = 4;
// But fewer than a round folds, so that one who falls out of the cache between
// two rounds gets on.
constexpr uint64_t kEvictedMost = 128;

size_t SummaryBytes(const Engine& engine) {
  if (engine.num_seeds() == 0) return 0;
  return sizeof(KeptSummary) +
         engine.Summarize(*engine.empty_state(), *engine.NewScratch())
             ->size_bytes();
}

}  // namespace

UserMemory::UserMemory(LoadedModelPtr model, StateStore& store,
                       Metrics& metrics, Cache& cache,
                       std::shared_ptr<ReadingCache> readings,
                       SnapshotWriter& snapshots, uint64_t snapshot_interval)
    : model_(std::move(model)),
      engine_(*model_->engine),
      log_(store),
      published_(store),
      metrics_(metrics),
      fold_metrics_(metrics.ingest.ForModel(model_->name, model_->version)),
      cache_(cache),
      readings_(std::move(readings)),
      snapshots_(snapshots),
      snapshot_interval_(snapshot_interval),
      summary_bytes_(SummaryBytes(engine_)) {}

absl::StatusOr<UserMemory::Lookup> UserMemory::Find(absl::string_view user_id,
                                                    size_t tail_limit) const {
  // The cache first: what is published later than the head was read might be
  // ahead of it. Before it, what others have seen: it is forgotten when it is
  // published.
  const SeenAhead::Ahead seen = seen_ahead_.Find(user_id);
  const std::shared_ptr<const KnownState> cached =
      cache_.Lookup(KeyOf(user_id));
  if (cached == nullptr) return FindStored(user_id, tail_limit);
  absl::StatusOr<UserHead> head = log_.GetHead(user_id);
  if (!head.ok()) {
    return ReportDamage(head.status(), user_id, metrics_.state);
  }
  // One that fell out of the cache and is on its way back may be behind its own
  // snapshot, and that is all there is of what was trimmed.
  if (cached->incarnation != head->incarnation ||
      cached->folded_sequence() + 1 < head->first_sequence) {
    return FindStored(user_id, tail_limit);
  }
  Lookup lookup;
  lookup.head = *std::move(head);
  lookup.known = *cached;
  lookup.known.reach =
      std::max(lookup.known.reach, seen.Through(cached->incarnation));
  lookup.origin = Origin::kCache;
  return lookup;
}

absl::StatusOr<UserMemory::Lookup> UserMemory::FindStored(
    absl::string_view user_id, size_t tail_limit) const {
  absl::StatusOr<PublishedState> published = published_.ReadPublished(
      engine_.state_fingerprint(), user_id, nullptr, tail_limit);
  if (!published.ok()) {
    return ReportDamage(published.status(), user_id, metrics_.state);
  }
  Lookup lookup;
  lookup.head = std::move(published->head);
  if (lookup.head.incarnation == 0) {
    lookup.known.state = engine_.empty_state();
    return lookup;
  }
  absl::StatusOr<KnownState> known =
      FromSnapshot(published->snapshot, lookup.head);
  if (!known.ok()) return known.status();
  lookup.known = *std::move(known);
  if (lookup.known.snapshot_sequence > 0) lookup.origin = Origin::kSnapshot;
  // Not behind a snapshot whose state cannot be used.
  if (tail_limit > 0 &&
      published->after == lookup.known.folded_sequence()) {
    lookup.tail = std::move(published->events);
  }
  return lookup;
}

absl::StatusOr<KnownState> UserMemory::FromSnapshot(
    const absl::StatusOr<std::optional<Snapshot>>& snapshot,
    const UserHead& head) const {
  KnownState known;
  known.state = engine_.empty_state();
  known.incarnation = head.incarnation;
  known.reach = head.last_sequence;

  if (absl::IsDataLoss(snapshot.status())) {
    metrics_.state.lookups_corrupt.Increment();
    return known;  // rebuilt from the log
  }
  if (!snapshot.ok()) return snapshot.status();
  if (!snapshot->has_value()) return known;
  if ((*snapshot)->incarnation != head.incarnation) {
    metrics_.state.lookups_version_mismatch.Increment();
    return known;
  }
  absl::StatusOr<std::shared_ptr<const UserState>> state =
      engine_.ParseState((*snapshot)->state);
  if (!state.ok() || (*state)->event_count != (*snapshot)->folded_sequence ||
      (*state)->event_count > head.last_sequence) {
    metrics_.state.lookups_corrupt.Increment();
    return known;
  }
  known.state = *std::move(state);
  known.snapshot_sequence = known.state->event_count;
  // A snapshot from before this was kept: of its times the last that came.
  known.newest_event_time_us = (*snapshot)->newest_event_time_us.value_or(
      known.state->pending_time_us);
  return known;
}

void UserMemory::CountLookup(const Lookup& lookup) const {
  StateMetrics& state = metrics_.state;
  if (lookup.head.incarnation == 0) {
    state.lookups_empty.Increment();
  } else if (lookup.origin == Origin::kCache) {
    state.lookups_hit.Increment();
  } else if (lookup.events_behind() > 0) {
    state.lookups_replayed.Increment();
  } else {
    state.lookups_snapshot.Increment();
  }
}

absl::StatusOr<std::vector<LoggedEvent>> UserMemory::ReadBehind(
    absl::string_view user_id, Lookup& lookup, size_t limit) const {
  if (lookup.tail.has_value()) {
    auto tail = *std::exchange(lookup.tail, std::nullopt);
    if (tail.ok() && tail->size() > limit) tail->resize(limit);
    return tail;
  }
  const HeldState held = {lookup.head.incarnation,
                          lookup.known.folded_sequence()};
  auto published = published_.ReadPublished(
      engine_.state_fingerprint(), user_id, &held,
      // No further than the look-up saw.
      std::min<uint64_t>(limit, lookup.events_behind()));
  if (!published.ok()) return published.status();
  if (published->head.incarnation != lookup.head.incarnation) {
    return absl::AbortedError(
        absl::StrCat("user ", Quoted(user_id), " was erased meanwhile"));
  }
  // Events behind a snapshot that is further than the state at hand, which what
  // is left of the log does not continue.
  if (published->after != held.folded_sequence) {
    const auto newer = FromSnapshot(published->snapshot, published->head);
    if (!newer.ok() || newer->folded_sequence() != published->after) {
      // Looking again would find the same.
      return absl::FailedPreconditionError(absl::StrCat(
          "the log of user ", Quoted(user_id), " begins at event ",
          published->head.first_sequence, ", and this model's snapshot of what "
          "was trimmed is no state of it"));
    }
    return absl::AbortedError(absl::StrCat(
        "the log of user ", Quoted(user_id), " was trimmed meanwhile"));
  }
  return std::move(published->events);
}

absl::StatusOr<UserFold> UserMemory::ReadTail(absl::string_view user_id,
                                              Lookup& lookup,
                                              size_t limit) const {
  std::vector<LoggedEvent> events;
  if (lookup.events_behind() > 0) {
    absl::StatusOr<std::vector<LoggedEvent>> behind =
        ReadBehind(user_id, lookup, limit);
    if (!behind.ok()) {
      return ReportDamage(behind.status(), user_id, metrics_.state);
    }
    events = *std::move(behind);
  }
  return UserFold(lookup.known, std::move(events), lookup.head.last_sequence,
                  engine_, model_->features);
}

absl::StatusOr<UserFold> UserMemory::BeginFold(absl::string_view user_id,
                                               LogTail& tail,
                                               size_t limit) const {
  KnownState known;
  if (const auto cached = cache_.Lookup(KeyOf(user_id)); cached != nullptr) {
    known = *cached;
  } else {  // true of a user whose tail begins with their first event
    known.state = engine_.empty_state();
    known.incarnation = tail.incarnation;
  }
  if (tail.Continues(known.incarnation, known.folded_sequence())) {
    const uint64_t last_sequence = tail.end_sequence() - 1;
    auto events = tail.Take(known.folded_sequence() + 1, limit);
    return UserFold(std::move(known), std::move(events), last_sequence,
                    engine_, model_->features);
  }
  absl::StatusOr<Lookup> lookup = Find(user_id, limit);
  if (!lookup.ok()) return lookup.status();
  return ReadTail(user_id, *lookup, limit);
}

void UserMemory::RunFolds(absl::Span<UserFold> folds,
                          EngineScratch& scratch) const {
  uint64_t num_events = 0;
  UserFold::Gaps gaps;
  for (const UserFold& fold : folds) {
    num_events += fold.size();
    gaps.actions += fold.gaps().actions;
    gaps.features += fold.gaps().features;
  }
  UserFold::Run(folds, engine_, scratch);
  for (const UserFold& fold : folds) {
    if (!fold.status().ok()) {
      ReportNotFinite(fold.status(), metrics_.state.states_not_finite);
    }
  }
  metrics_.ingest.fold_events.Increment(num_events);
  fold_metrics_.unknown_actions.Increment(gaps.actions);
  fold_metrics_.missing_features.Increment(gaps.features);
}

void UserMemory::Publish(absl::string_view user_id, KnownState known,
                         Snapshots snapshots) {
  const uint64_t incarnation = known.incarnation;
  const uint64_t through = known.folded_sequence();
  Insert(user_id, std::move(known), snapshots);
  seen_ahead_.Published(user_id, incarnation, through);
}

void UserMemory::Insert(absl::string_view user_id, KnownState known,
                        Snapshots snapshots) {
  if (known.incarnation == 0) return;
  // Nobody else publishes: what is there now stays until it is replaced here.
  const std::shared_ptr<const KnownState> old = cache_.Lookup(KeyOf(user_id));
  if (old != nullptr && old->incarnation == known.incarnation &&
      old->folded_sequence() >= known.folded_sequence()) {
    return;
  }
  const uint64_t due = snapshots == Snapshots::kInTime
                           ? snapshot_interval_
                           : kPostponedIntervals * snapshot_interval_;
  if (known.folded_sequence() - known.snapshot_sequence >= due &&
      snapshots_.Offer(model_->engine, user_id, known)) {
    known.snapshot_sequence = known.folded_sequence();
  }
  if (summary_bytes_ > 0) known.summary = std::make_shared<KeptSummary>();
  known.readings = std::make_shared<KeptReadings>(readings_);
  const size_t bytes = SizeBytes(known);
  cache_.Insert(KeyOf(user_id), std::make_shared<const KnownState>(std::move(known)),
                bytes);
}

size_t UserMemory::SizeBytes(const KnownState& known) const {
  // The readings' own budget counts what they take.
  return sizeof(known) + sizeof(KeptReadings) + known.state->size_bytes() +
         summary_bytes_;
}

std::shared_ptr<const UserSummary> UserMemory::Summarize(
    const KnownState& known, EngineScratch& scratch) const {
  if (known.summary != nullptr) {
    if (auto kept = known.summary->Get(); kept != nullptr) {
      metrics_.state.summaries_hit.Increment();
      return kept;
    }
  }
  metrics_.state.summaries_computed.Increment();
  auto made = engine_.Summarize(*known.state, scratch);
  return known.summary == nullptr ? made : known.summary->Keep(std::move(made));
}

std::shared_ptr<const Reading> UserMemory::Read(const KnownState& known,
                                                const RequestView& request,
                                                EngineScratch& scratch) const {
  std::string inputs;
  if (known.readings != nullptr) {
    inputs = ReadingInputs(*known.state, request);
    if (auto kept = known.readings->Get(inputs); kept != nullptr) {
      metrics_.state.readings_hit.Increment();
      return kept;
    }
  }
  metrics_.state.readings_computed.Increment();
  return MakeReading(known, request, inputs, scratch);
}

std::shared_ptr<const Reading> UserMemory::MakeReading(
    const KnownState& known, const RequestView& request,
    const std::string& inputs, EngineScratch& scratch) const {
  std::shared_ptr<const UserSummary> summary;
  // Recent events have a state, and so a summary, of their own.
  if (engine_.attends_summaries() && request.recent_events.empty()) {
    summary = Summarize(known, scratch);
  }
  std::shared_ptr<const Reading> made =
      engine_.Read(*known.state, request, scratch, summary);
  // A product that failed for a moment is no reason to fail again.
  if (known.readings == nullptr || !made->finite()) return made;
  size_t bytes = made->size_bytes();
  // That of a published state is counted with it.
  if (summary != nullptr) bytes -= summary->size_bytes();
  return known.readings->Keep(inputs, bytes, std::move(made));
}

void UserMemory::SaveEvicted(absl::string_view user_id,
                             const KnownState& known) {
  if (known.folded_sequence() - known.snapshot_sequence >=
      std::min(snapshot_interval_ / kEvictedShare, kEvictedMost)) {
    snapshots_.Offer(model_->engine, user_id, known);
  }
}

void UserMemory::Save(absl::string_view user_id, const KnownState& known) {
  if (known.folded_sequence() == known.snapshot_sequence) return;
  snapshots_.Put(model_->engine, user_id, known);
}

void UserMemory::Forget(absl::string_view user_id) {
  cache_.Erase(KeyOf(user_id));
  seen_ahead_.Published(user_id, 0, 0);
}

}  // namespace qlarank

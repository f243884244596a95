#include "server/pipeline/retention.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/time/clock.h"
#include "server/ops/logging.h"
#include "server/pipeline/steady_now.h"

namespace qlarank {
namespace {

constexpr size_t kEventsARead = 1024;

bool HasPolicy(const RetentionOptions& options) {
  return options.idle_user_ttl > absl::ZeroDuration() ||
         options.max_event_age > absl::ZeroDuration() ||
         options.max_events_per_user > 0;
}

}  // namespace

Retention::Retention(StateStore& store, IngestPipeline& ingest,
                     const ModelRegistry& models, Metrics& metrics,
                     const RetentionOptions& options)
    : store_(store),
      ingest_(ingest),
      models_(models),
      metrics_(metrics),
      options_(options),
      thread_([this] { Loop(); }) {}

Retention::~Retention() {
  stop_.Notify();
  thread_.join();
}

bool Retention::ClockIsSane(absl::Time start, absl::Duration elapsed,
                            absl::Time now) {
  return absl::AbsDuration(now - (start + elapsed)) <= kMaxClockDrift;
}

void Retention::Loop() {
  const absl::Time start = absl::Now();
  const absl::Duration steady_start = SteadyNow();
  const bool purges = options_.purge_interval > absl::ZeroDuration();
  absl::Duration next_purge = purges ? options_.purge_interval
                                     : absl::InfiniteDuration();
  absl::Duration next_sweep = HasPolicy(options_) ? options_.sweep_interval
                                                  : absl::InfiniteDuration();
  while (true) {
    const absl::Duration next = std::min(next_purge, next_sweep);
    const absl::Duration elapsed = SteadyNow() - steady_start;
    if (stop_.WaitForNotificationWithTimeout(next - elapsed)) return;
    const absl::Duration now = SteadyNow() - steady_start;
    if (now >= next_sweep) {
      // Read once: it may be set between two readings.
      const absl::Time wall_now = absl::Now();
      if (ClockIsSane(start, now, wall_now)) {
        Sweep(wall_now);
      } else {
        Fail("sweeping",
             absl::FailedPreconditionError(
                 "the clock was set since the start; restart the server once "
                 "it is right"));
      }
      next_sweep = SteadyNow() - steady_start + options_.sweep_interval;
    }
    if (now >= next_purge) {
      Purge();
      next_purge = SteadyNow() - steady_start + options_.purge_interval;
    }
  }
}

void Retention::Fail(absl::string_view doing, const absl::Status& status) {
  metrics_.retention.failures.Increment();
  LogWarning("retention failed", {{"doing", doing}, {"error", status}});
}

void Retention::Sweep(absl::Time now) {
  const int64_t idle_cutoff_us =
      absl::ToUnixMicros(now - options_.idle_user_ttl);
  const bool expires = options_.idle_user_ttl > absl::ZeroDuration();
  const bool trims = options_.max_event_age > absl::ZeroDuration() ||
                     options_.max_events_per_user > 0;
  const absl::Status listed = store_.ForEachUser(
      [&](absl::string_view user_id, const UserHead& head) {
        if (expires && head.last_event_time_us < idle_cutoff_us) {
          EraseIdle(std::string(user_id), idle_cutoff_us);
        } else if (trims && head.num_events() >= kMinTrimmedEvents) {
          Trim({std::string(user_id), head}, now);
        }
        return !stop_.HasBeenNotified();
      });
  if (!listed.ok()) Fail("listing users", listed);
}

void Retention::EraseIdle(const std::string& user_id, int64_t cutoff_us) {
  IngestPipeline::ErasureOrder order;
  order.note.time_us = absl::ToUnixMicros(absl::Now());
  order.note.reason = "idle";
  // Of what came since the sweep began, too.
  order.only_if = [cutoff_us](const UserHead& head) {
    return head.incarnation != 0 && head.last_event_time_us < cutoff_us;
  };
  absl::StatusOr<uint64_t> removed;
  absl::Notification done;
  ingest_.DeleteUser(user_id, std::move(order),
                     [&](absl::StatusOr<uint64_t> result) {
                       removed = std::move(result);
                       done.Notify();
                     });
  done.WaitForNotification();
  if (!removed.ok()) return Fail("erasing an idle user", removed.status());
  if (*removed > 0) metrics_.retention.idle_users_erased.Increment();
}

void Retention::Trim(const Candidate& candidate, absl::Time now) {
  absl::StatusOr<uint64_t> first_kept = FirstKept(candidate, now);
  if (!first_kept.ok()) return Fail("reading a log", first_kept.status());
  const auto worth_it = [&](uint64_t kept) {
    return kept >= candidate.head.first_sequence + kMinTrimmedEvents;
  };
  if (!worth_it(*first_kept)) return;
  const absl::StatusOr<uint64_t> snapshotted = Snapshotted(candidate);
  if (!snapshotted.ok()) {
    return Fail("reading a snapshot", snapshotted.status());
  }
  // The newest stays: a user whom something is known of has an event.
  *first_kept = std::min(
      {*first_kept, *snapshotted + 1, candidate.head.last_sequence});
  if (!worth_it(*first_kept)) return;
  absl::Status trimmed;
  absl::Notification done;
  ingest_.TrimLog(candidate.user_id, *first_kept, [&](absl::Status status) {
    trimmed = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  if (!trimmed.ok()) return Fail("trimming a log", trimmed);
  metrics_.retention.events_trimmed.Increment(
      static_cast<double>(*first_kept - candidate.head.first_sequence));
}

absl::StatusOr<uint64_t> Retention::FirstKept(const Candidate& candidate,
                                              absl::Time now) const {
  uint64_t first = candidate.head.first_sequence;
  const uint64_t most = options_.max_events_per_user;
  if (most > 0 && candidate.head.num_events() > most) {
    first = candidate.head.last_sequence - most + 1;
  }
  if (options_.max_event_age == absl::ZeroDuration()) return first;
  const auto young = FirstYoung(
      candidate, absl::ToUnixMicros(now - options_.max_event_age));
  if (!young.ok()) return young.status();
  return std::max(first, *young);
}

absl::StatusOr<uint64_t> Retention::FirstYoung(const Candidate& candidate,
                                               int64_t cutoff_us) const {
  uint64_t next = candidate.head.first_sequence;
  // Most users have nothing to trim: one event tells.
  const auto probe = store_.ReadEvents(candidate.user_id,
                                       next + kMinTrimmedEvents - 1, 1);
  if (!probe.ok()) return probe.status();
  if (probe->empty() || probe->front().time_us >= cutoff_us) return next;
  while (true) {
    const auto events =
        store_.ReadEvents(candidate.user_id, next, kEventsARead);
    if (!events.ok()) return events.status();
    if (events->empty()) return next;
    for (const LoggedEvent& event : *events) {
      if (event.time_us >= cutoff_us) return next;
      ++next;
    }
  }
}

absl::StatusOr<uint64_t> Retention::Snapshotted(
    const Candidate& candidate) const {
  uint64_t sequence = std::numeric_limits<uint64_t>::max();
  for (const auto& model : models_.models()) {
    const auto snapshot = store_.GetSnapshot(
        model->engine->state_fingerprint(), candidate.user_id);
    if (!snapshot.ok()) return snapshot.status();
    if (!snapshot->has_value() ||
        (*snapshot)->incarnation != candidate.head.incarnation) {
      return 0;
    }
    sequence = std::min(sequence, (*snapshot)->folded_sequence);
  }
  return std::min(sequence, candidate.head.last_sequence);
}

void Retention::Purge() {
  const absl::StatusOr<uint64_t> purged = store_.PurgeErased();
  if (!purged.ok()) return Fail("purging", purged.status());
  metrics_.retention.erasures_purged.Increment(static_cast<double>(*purged));
}

}  // namespace qlarank

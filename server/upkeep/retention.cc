#include "server/upkeep/retention.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/ops/logging.h"
#include "server/work/steady_now.h"

namespace qlarank {
namespace {

constexpr size_t kEventsARead = 1024;

bool HasPolicy(const RetentionOptions& options) {
  return options.idle_user_ttl > absl::ZeroDuration() ||
         options.max_event_age > absl::ZeroDuration() ||
         options.max_events_per_user > 0;
}

}  // namespace

Retention::Retention(StateStore& store, Partitions& partitions,
                     const ModelRegistry& models, Metrics& metrics,
                     const RetentionOptions& options)
    : store_(store),
      partitions_(partitions),
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

absl::StatusOr<StoreCensus> Retention::TakeCensus(absl::Time now) {
  StoreCensus census;
  const int64_t idle_cutoff_us =
      absl::ToUnixMicros(now - options_.idle_user_ttl);
  int64_t newest_us = std::numeric_limits<int64_t>::min();
  const absl::Status listed = store_.ForEachUser(
      [&](absl::string_view /*user_id*/, const UserHead& head) {
        ++census.users;
        census.events += head.num_events();
        newest_us = std::max(newest_us, head.last_event_time_us);
        if (head.last_event_time_us < idle_cutoff_us) ++census.idle_users;
        return !stop_.HasBeenNotified();
      });
  if (!listed.ok() && !absl::IsDataLoss(listed)) return listed;
  if (census.users > 0) census.newest_event = absl::FromUnixMicros(newest_us);
  if (options_.idle_user_ttl == absl::ZeroDuration()) census.idle_users = 0;
  return census;
}

Retention::Removed Retention::RemovedToday(absl::Time now) {
  while (!history_.empty() && now - history_.front().time >= absl::Hours(24)) {
    history_.pop_front();
  }
  Removed today;
  for (const Removed& removed : history_) {
    today.users += removed.users;
    today.events_by_age += removed.events_by_age;
  }
  return today;
}

void Retention::Refuse(const absl::Status& why) {
  metrics_.retention.failures.Increment();
  LogError("retention removes nothing for its age", {{"error", why}});
}

Retention::Round Retention::Begin(absl::Time now, const StoreCensus& census) {
  Round round{now, options_, census};
  round.removed.time = now;
  const Removed today = RemovedToday(now);
  const absl::Status clock = CheckClock(options_, round.census, now);
  metrics_.retention.refused_for_clock.Set(clock.ok() ? 0 : 1);
  if (!clock.ok()) {
    Refuse(clock);
    round.policies.idle_user_ttl = absl::ZeroDuration();
    round.policies.max_event_age = absl::ZeroDuration();
    return round;
  }
  const absl::Status share =
      CheckErasedShare(options_, round.census, today.users);
  metrics_.retention.refused_for_share.Set(share.ok() ? 0 : 1);
  if (!share.ok()) {
    Refuse(share);
    round.policies.idle_user_ttl = absl::ZeroDuration();
  }
  const uint64_t most = MaxRemovedADay(
      options_, options_.max_event_age,
      round.census.events + today.events_by_age, kLeastTrimmedEvents);
  round.events_by_age_left = most - std::min(most, today.events_by_age);
  return round;
}

void Retention::End(const Round& round) {
  const Removed& removed = round.removed;
  if (removed.users == 0 && removed.events == 0) return;
  history_.push_back(removed);
  LogInfo("retention has removed",
          {{"idle_users", removed.users},
           {"of_users", round.census.users},
           {"events", removed.events},
           {"of_events", round.census.events}});
}

void Retention::Sweep(absl::Time now) {
  const absl::StatusOr<StoreCensus> census = TakeCensus(now);
  if (!census.ok()) return Fail("counting users", census.status());
  if (stop_.HasBeenNotified()) return;  // it did not see them all
  Round round = Begin(now, *census);
  const RetentionOptions& policies = round.policies;
  if (!HasPolicy(policies)) return;
  const int64_t idle_cutoff_us =
      absl::ToUnixMicros(now - policies.idle_user_ttl);
  const bool expires = policies.idle_user_ttl > absl::ZeroDuration();
  const absl::Status listed = store_.ForEachUser(
      [&](absl::string_view user_id, const UserHead& head) {
        if (expires && head.last_event_time_us < idle_cutoff_us) {
          EraseIdle(std::string(user_id), idle_cutoff_us, round);
        } else if (head.num_events() >= kMinTrimmedEvents) {
          Trim({std::string(user_id), head}, round);
        }
        return !stop_.HasBeenNotified();
      });
  if (!listed.ok()) Fail("listing users", listed);
  End(round);
}

void Retention::EraseIdle(const std::string& user_id, int64_t cutoff_us,
                          Round& round) {
  Owner::ErasureOrder order;
  order.note.time_us = absl::ToUnixMicros(round.now);
  order.note.reason = "idle";
  // Of what came since the sweep began, too.
  order.only_if = [cutoff_us](const UserHead& head) {
    return head.incarnation != 0 && head.last_event_time_us < cutoff_us;
  };
  absl::StatusOr<uint64_t> removed;
  absl::Notification done;
  partitions_.OwnerOf(user_id).Erase(user_id, std::move(order),
                                     [&](absl::StatusOr<uint64_t> result) {
                                       removed = std::move(result);
                                       done.Notify();
                                     });
  done.WaitForNotification();
  if (!removed.ok()) return Fail("erasing an idle user", removed.status());
  if (*removed == 0) return;
  ++round.removed.users;
  metrics_.retention.idle_users_erased.Increment();
}

void Retention::Trim(const Candidate& candidate, Round& round) {
  const uint64_t first = candidate.head.first_sequence;
  const auto worth_it = [&](uint64_t kept) {
    return kept >= first + kMinTrimmedEvents;
  };
  const uint64_t by_number = FirstOfNewest(candidate, round.policies);
  uint64_t first_kept = by_number;
  if (round.policies.max_event_age > absl::ZeroDuration()) {
    const auto young = FirstYoung(
        candidate,
        absl::ToUnixMicros(round.now - round.policies.max_event_age));
    if (!young.ok()) return Fail("reading a log", young.status());
    first_kept = std::max(by_number, *young);
  }
  if (!worth_it(first_kept)) return;
  const absl::StatusOr<uint64_t> snapshotted = Snapshotted(candidate);
  if (!snapshotted.ok()) {
    return Fail("reading a snapshot", snapshotted.status());
  }
  // The newest stays: a user whom something is known of has an event.
  const uint64_t at_most =
      std::min(*snapshotted + 1, candidate.head.last_sequence);
  first_kept = std::min(first_kept, at_most);
  if (!worth_it(first_kept)) return;
  if (first_kept > by_number &&
      !MayRemoveByAge(first_kept - by_number, round)) {
    first_kept = std::min(by_number, at_most);
    if (!worth_it(first_kept)) return;
  }
  absl::Status trimmed;
  absl::Notification done;
  partitions_.OwnerOf(candidate.user_id)
      .Trim(candidate.user_id, first_kept, [&](absl::Status status) {
        trimmed = std::move(status);
        done.Notify();
      });
  done.WaitForNotification();
  if (!trimmed.ok()) return Fail("trimming a log", trimmed);
  const uint64_t by_age = first_kept - std::min(first_kept, by_number);
  round.events_by_age_left -= by_age;
  round.removed.events_by_age += by_age;
  round.removed.events += first_kept - first;
  metrics_.retention.events_trimmed.Increment(
      static_cast<double>(first_kept - first));
}

bool Retention::MayRemoveByAge(uint64_t events, Round& round) {
  if (events <= round.events_by_age_left) return true;
  round.policies.max_event_age = absl::ZeroDuration();
  metrics_.retention.refused_for_share.Set(1);
  Refuse(absl::ResourceExhaustedError(absl::StrCat(
      round.removed.events_by_age, " events were removed for their age, ",
      round.events_by_age_left,
      " more may be today, and the next user has ", events,
      ": the rest waits. If more may go, set retention.max_daily_share to the "
      "share that may go in a day, 1 for all")));
  return false;
}

uint64_t Retention::FirstOfNewest(const Candidate& candidate,
                                  const RetentionOptions& policies) const {
  const uint64_t most = policies.max_events_per_user;
  if (most == 0 || candidate.head.num_events() <= most) {
    return candidate.head.first_sequence;
  }
  return candidate.head.last_sequence - most + 1;
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

std::vector<std::string> Retention::NeededFingerprints() const {
  const std::shared_ptr<const Registry> registry = models_.Current();
  std::vector<std::string> needed;
  for (const LoadedModelPtr& model : registry->models()) {
    needed.push_back(model->engine->state_fingerprint());
  }
  for (const UnservedModel& model : registry->unserved()) {
    if (!model.state_fingerprint.empty()) {
      needed.push_back(model.state_fingerprint);
    }
  }
  return needed;
}

absl::StatusOr<uint64_t> Retention::Snapshotted(
    const Candidate& candidate) const {
  uint64_t sequence = std::numeric_limits<uint64_t>::max();
  for (const std::string& fingerprint : NeededFingerprints()) {
    const auto snapshot = store_.GetSnapshot(fingerprint, candidate.user_id);
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
  // Beside everything else that the disk has to do.
  const auto pause = [this](uint64_t bytes) {
    return !stop_.WaitForNotificationWithTimeout(absl::Seconds(1) * bytes /
                                                 kPurgedBytesPerSecond);
  };
  const absl::StatusOr<uint64_t> purged = store_.PurgeErased(pause);
  if (!purged.ok()) return Fail("purging", purged.status());
  metrics_.retention.erasures_purged.Increment(static_cast<double>(*purged));
}

}  // namespace qlarank

#include "bench/freshness_probe.h"

#include <utility>

#include "absl/time/clock.h"

namespace qlarank::bench {
namespace {

// Between two looks: what a sample may be too long by.
constexpr absl::Duration kPollInterval = absl::Milliseconds(2);

}  // namespace

FreshnessProbe::FreshnessProbe(const Client& client, std::string user_id)
    : client_(client),
      user_id_(std::move(user_id)),
      thread_([this] { Loop(); }) {}

FreshnessProbe::~FreshnessProbe() {
  if (thread_.joinable()) Stop().IgnoreError();
}

absl::StatusOr<std::vector<absl::Duration>> FreshnessProbe::Stop() {
  stopping_ = true;
  thread_.join();
  if (!status_.ok()) return status_;
  return std::move(samples_);
}

void FreshnessProbe::Loop() {
  for (uint64_t sequence = 1; !stopping_; ++sequence) {
    const absl::StatusOr<absl::Duration> sample = ProbeOnce(sequence);
    if (!sample.ok()) {
      status_ = sample.status();
      return;
    }
    // The first event of a user is in no cache: Rank itself folds it.
    if (sequence > 1) samples_.push_back(*sample);
  }
}

absl::StatusOr<absl::Duration> FreshnessProbe::ProbeOnce(uint64_t sequence) {
  v1::AppendEventsRequest append;
  append.set_source("probe");
  v1::UserEvent& event = *append.add_events();
  event.set_user_id(user_id_);
  event.set_sequence(sequence);
  event.mutable_event()->set_item_id(1);
  event.mutable_event()->mutable_time()->set_seconds(
      absl::ToUnixSeconds(absl::Now()));
  const auto appended = client_.AppendEvents(append);
  if (!appended.ok()) return appended.status();
  const absl::Time acknowledged = absl::Now();

  v1::RankRequest rank;
  rank.set_user_id(user_id_);
  rank.add_item_ids(1);
  while (true) {
    const auto reply = client_.Rank(rank);
    if (!reply.ok()) return reply.status();
    if (reply->state().folded_sequence() >= sequence) {
      return absl::Now() - acknowledged;
    }
    absl::SleepFor(kPollInterval);
  }
}

}  // namespace qlarank::bench

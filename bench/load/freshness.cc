#include "bench/load/freshness.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace qlarank::bench {
namespace {

constexpr uint64_t kUsers = 16;
constexpr absl::Duration kBetweenProbes = absl::Milliseconds(20);
constexpr absl::Duration kBetweenQuestions = absl::Milliseconds(1);

std::string UserName(const std::string& source, uint64_t probe) {
  return absl::StrCat(source, "-probe-", probe % kUsers);
}

absl::StatusOr<uint64_t> EventsCounted(const Client& client,
                                       const std::string& user) {
  v1::RankRequest request;
  request.set_user_id(user);
  request.add_item_ids(1);
  const auto response = client.Rank(request);
  if (!response.ok()) return response.status();
  return response->state().event_count();
}

// Appends the probe's event and waits until it counts.
absl::StatusOr<absl::Duration> Lag(const Client& client,
                                   const std::string& source, uint64_t probe,
                                   int64_t second) {
  v1::AppendEventsRequest append;
  append.set_source(source);
  v1::UserEvent& event = *append.add_events();
  event.set_user_id(UserName(source, probe));
  event.set_sequence(probe + 1);
  event.mutable_event()->set_item_id(1 + probe % 100);
  event.mutable_event()->mutable_time()->set_seconds(second);
  const auto appended = client.AppendEvents(append);
  if (!appended.ok()) return appended.status();
  const absl::Time acknowledged = absl::Now();
  while (true) {
    const auto counted = EventsCounted(client, event.user_id());
    if (!counted.ok()) return counted.status();
    if (*counted >= probe / kUsers + 1) return absl::Now() - acknowledged;
    absl::SleepFor(kBetweenQuestions);
  }
}

}  // namespace

absl::Status ProbeFreshness(const Client& client, const std::string& source,
                            int64_t first_second, const std::atomic<bool>& stop,
                            Latencies& lags) {
  for (uint64_t probe = 0; !stop; ++probe) {
    const absl::Time next = absl::Now() + kBetweenProbes;
    const auto lag =
        Lag(client, source, probe, first_second + static_cast<int64_t>(probe));
    if (!lag.ok()) return lag.status();
    // The first event of each user finds no state: the ranking makes it.
    if (probe >= kUsers) lags.Answered(*lag);
    absl::SleepFor(next - absl::Now());
  }
  return absl::OkStatus();
}

}  // namespace qlarank::bench

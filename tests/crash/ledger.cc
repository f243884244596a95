#include "tests/crash/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/pipeline/proto_time.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr uint64_t kMaxOverlap = 5;

LoggedEvent Expected(const Bundle& bundle, const std::string& user_id,
                     const std::string& source, uint64_t sequence) {
  const v1::Event event = MakeEvent(bundle, user_id, sequence);
  LoggedEvent logged;
  logged.item_id = event.item_id();
  logged.action = event.action();
  logged.time_us = ToMicros(event.time());
  logged.source = source;
  logged.source_sequence = sequence;
  logged.features = {event.features().begin(), event.features().end()};
  return logged;
}

}  // namespace

Ledger::Ledger(const Bundle& bundle, std::string source, int num_users)
    : bundle_(bundle), source_(std::move(source)) {
  for (int user = 0; user < num_users; ++user) {
    users_[absl::StrCat("user", user)] = {};
  }
}

uint64_t Ledger::acknowledged() const {
  uint64_t sum = 0;
  for (const auto& [user_id, user] : users_) sum += user.acknowledged;
  return sum;
}

v1::AppendEventsRequest Ledger::NextBatch(absl::BitGenRef random) {
  v1::AppendEventsRequest batch;
  batch.set_source(source_);
  const int num_events = absl::Uniform(random, 1, 30);
  for (int i = 0; i < num_events; ++i) {
    const auto chosen = std::next(
        users_.begin(), absl::Uniform<size_t>(random, 0, users_.size()));
    User& user = chosen->second;
    // A retry that nobody asked for.
    if (user.next > 1 && absl::Bernoulli(random, 0.1)) {
      AddEvent(bundle_, chosen->first,
               absl::Uniform<uint64_t>(random, 1, user.next), batch);
      continue;
    }
    AddEvent(bundle_, chosen->first, user.next, batch);
    user.sent = std::max(user.sent, user.next);
    ++user.next;
  }
  return batch;
}

void Ledger::Acknowledge(const v1::AppendEventsRequest& batch) {
  for (const v1::UserEvent& event : batch.events()) {
    User& user = users_.at(event.user_id());
    user.acknowledged = std::max(user.acknowledged, event.sequence());
  }
}

void Ledger::Rewind(absl::BitGenRef random) {
  for (auto& [user_id, user] : users_) {
    const uint64_t overlap =
        absl::Uniform<uint64_t>(absl::IntervalClosed, random, 0,
                                std::min(kMaxOverlap, user.acknowledged));
    user.next = user.acknowledged + 1 - overlap;
  }
}

std::string Ledger::Check(const std::string& user_id,
                          const std::vector<LoggedEvent>& log) const {
  const User& user = users_.at(user_id);
  uint64_t sequence = 0;
  for (const LoggedEvent& event : log) {
    if (event.source != source_) continue;
    ++sequence;
    if (event != Expected(bundle_, user_id, source_, sequence)) {
      return absl::StrCat(user_id, " ", source_, ": the log has event ",
                          event.source_sequence, " of item ", event.item_id,
                          " where event ", sequence, " belongs");
    }
  }
  if (sequence < user.acknowledged || sequence > user.sent) {
    return absl::StrCat(user_id, " ", source_, ": the log has ", sequence,
                        " events; ", user.acknowledged, " acknowledged, ",
                        user.sent, " sent");
  }
  return "";
}

}  // namespace qlarank::testing

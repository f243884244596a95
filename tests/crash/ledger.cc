#include "tests/crash/ledger.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/work/proto_time.h"
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
  logged.schema = 1;  // a store's first is that of the model served
  return logged;
}

}  // namespace

Ledger::Ledger(const Bundle& bundle, std::string source, int num_users,
               int num_erasable)
    : bundle_(bundle), source_(std::move(source)) {
  for (int user = 0; user < num_users; ++user) {
    users_[absl::StrCat("user", user)] = {};
  }
  for (int user = 0; user < num_erasable; ++user) {
    users_[absl::StrCat(source_, "-only", user)].erasable = true;
  }
}

std::vector<std::string> Ledger::erasable() const {
  std::vector<std::string> names;
  for (const auto& [user_id, user] : users_) {
    if (user.erasable) names.push_back(user_id);
  }
  return names;
}

std::optional<std::string> Ledger::NextErasure(absl::BitGenRef random) {
  for (const auto& [user_id, user] : users_) {
    if (user.erasing) return user_id;
  }
  for (auto& [user_id, user] : users_) {
    if (!user.erasable || !absl::Bernoulli(random, 0.02)) continue;
    user.erasing = true;
    return user_id;
  }
  return std::nullopt;
}

void Ledger::Erased(const std::string& user_id) {
  User& user = users_.at(user_id);
  user.erasing = false;
  user.before_life = user.acknowledged = user.sent;
  user.next = user.sent + 1;
  ++erasures_;
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
    const uint64_t first = user.before_life + 1;
    if (user.next > first && absl::Bernoulli(random, 0.1)) {
      AddEvent(bundle_, chosen->first,
               absl::Uniform<uint64_t>(random, first, user.next), batch);
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

uint64_t Ledger::CompleteThrough() const {
  uint64_t through = std::numeric_limits<uint64_t>::max();
  for (const auto& [user_id, user] : users_) {
    through = std::min(through, user.acknowledged);
  }
  return through;
}

void Ledger::Rewind(absl::BitGenRef random) {
  for (auto& [user_id, user] : users_) {
    const uint64_t overlap = absl::Uniform<uint64_t>(
        absl::IntervalClosed, random, 0,
        std::min(kMaxOverlap, user.acknowledged - user.before_life));
    user.next = user.acknowledged + 1 - overlap;
  }
}

std::vector<LoggedEvent> Ledger::FirstEvents(const std::string& user_id,
                                             uint64_t count) const {
  std::vector<LoggedEvent> events;
  const uint64_t before = users_.at(user_id).before_life;
  for (uint64_t i = 1; i <= count; ++i) {
    events.push_back(Expected(bundle_, user_id, source_, before + i));
  }
  return events;
}

std::string Ledger::Check(const std::string& user_id,
                          const std::vector<LoggedEvent>& log,
                          uint64_t trimmed) const {
  const User& user = users_.at(user_id);
  if (user.erasing && log.empty()) return "";
  uint64_t sequence = user.before_life + trimmed;
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
    return absl::StrCat(user_id, " ", source_, ": the log goes up to event ",
                        sequence, "; ", user.before_life, " erased, ",
                        user.acknowledged, " acknowledged, ", user.sent,
                        " sent");
  }
  return "";
}

}  // namespace qlarank::testing

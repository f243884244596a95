#include "tests/owners/user_oracle.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/work/proto_time.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr size_t kHistory = 120;

}  // namespace

uint64_t DigestOf(absl::string_view state) { return absl::HashOf(state); }

UserOracle::UserOracle(std::string user_id,
                       std::vector<std::string> source_names,
                       const std::array<uint64_t, kSources>& marks,
                       const Engine& engine)
    : user_id_(std::move(user_id)),
      source_names_(std::move(source_names)),
      marks_(marks),
      engine_(engine) {
  absl::MutexLock lock(&mutex_);
  NewLife(0);
}

v1::Event UserOracle::EventOf(size_t source, uint64_t sequence) const {
  // Every one has a time of its own.
  const uint64_t n = sequence * kSources + source;
  v1::Event event = MakeEvent(engine_.bundle(), user_id_, n);
  if (n % 7 == 3) {  // late
    *event.mutable_time() = FromMicros(ToMicros(event.time()) -
                                       static_cast<int64_t>(n % 50) * 61'000'000);
  }
  return event;
}

void UserOracle::NewLife(size_t number) {
  Life& life = lives_[number];
  life.sent_before = sent_;
  life.state = engine_.empty_state();
  life.digests = {DigestOf(engine_.SerializeState(*life.state))};
}

std::shared_ptr<const UserState> UserOracle::Fold(
    const UserState& before, const Position& position,
    EngineScratch& scratch) const {
  const v1::Event event = EventOf(position.source, position.sequence);
  const Bundle& bundle = engine_.bundle();
  const ModelEvent folded = {bundle.ItemRow(event.item_id()),
                             bundle.ActionIndex(event.action()),
                             ToMicros(event.time()), event.features()};
  const std::shared_ptr<const UserState> unowned(&before, [](const auto*) {});
  FoldJob job = {unowned, absl::MakeConstSpan(&folded, 1), nullptr};
  engine_.Fold(absl::MakeSpan(&job, 1), scratch);
  return job.after;
}

// -- The walker's -------------------------------------------------------------

uint64_t UserOracle::NextOf(size_t source) const {
  const std::set<uint64_t>& refused = refused_[source];
  return refused.empty() ? sent_[source] + 1 : *refused.begin();
}

uint64_t UserOracle::FirstOf(size_t source) const {
  absl::MutexLock lock(&mutex_);
  return lives_.at(issued_.life).sent_before[source] + 1;
}

Outcome UserOracle::Send(size_t source, uint64_t sequence,
                         Outcome unless_sound, bool give_up,
                         EngineScratch& scratch) {
  std::set<uint64_t>& refused = refused_[source];
  sent_[source] = std::max(sent_[source], sequence);
  if (unless_sound != Outcome::kApplied) {
    if (!give_up) refused.insert(sequence);
    return unless_sound;
  }
  // server/partition/gap_fence.h, in few words.
  uint64_t& watermark = issued_.watermarks[source];
  const uint64_t seen = std::max(watermark, marks_[source]);
  refused.erase(refused.begin(), refused.upper_bound(seen));
  if (sequence <= seen) return Outcome::kDuplicate;
  if (!refused.empty() && *refused.begin() < sequence) {
    refused.insert(sequence);
    return Outcome::kHeldBack;
  }
  refused.erase(sequence);
  watermark = sequence;
  ++issued_.events;
  const Position position = {source, sequence};
  std::shared_ptr<const UserState> before;
  {
    absl::MutexLock lock(&mutex_);
    before = lives_.at(issued_.life).state;
  }
  auto after = Fold(*before, position, scratch);
  const uint64_t digest = DigestOf(engine_.SerializeState(*after));
  absl::MutexLock lock(&mutex_);
  Life& life = lives_.at(issued_.life);
  life.events.push_back(position);
  life.digests.push_back(digest);
  life.state = std::move(after);
  return Outcome::kApplied;
}

UserOracle::Gone UserOracle::Erase() {
  for (auto& refused : refused_) refused.clear();
  absl::MutexLock lock(&mutex_);
  ++erasures_;
  const uint64_t events = std::exchange(issued_.events, 0);
  issued_.watermarks = {};
  if (events == 0) return {0, 0};
  const Life& life = lives_.at(issued_.life);
  const uint64_t trimmed = life.first_at_least - 1;
  // The newest event is never trimmed.
  const uint64_t perhaps =
      trimmed_by_policy_ ? events - 1 : life.first_at_most - 1;
  NewLife(++issued_.life);
  return {events - perhaps, events - trimmed};
}

void UserOracle::Erased() {
  absl::MutexLock lock(&mutex_);
  ++erasures_done_;
}

void UserOracle::Mark(size_t source, uint64_t through) {
  std::set<uint64_t>& refused = refused_[source];
  refused.erase(refused.begin(), refused.upper_bound(through));
  sent_[source] = std::max(sent_[source], through);
}

void UserOracle::Acknowledge(const Standing& standing) {
  absl::MutexLock lock(&mutex_);
  acknowledged_ = standing;
}

void UserOracle::Trimming(uint64_t first_kept) {
  absl::MutexLock lock(&mutex_);
  Life& life = lives_.at(issued_.life);
  life.first_at_most = std::max(life.first_at_most, first_kept);
}

void UserOracle::Trimmed(uint64_t first_kept) {
  absl::MutexLock lock(&mutex_);
  Life& life = lives_.at(issued_.life);
  life.first_at_least = std::max(life.first_at_least, first_kept);
  // What stands for them was made durable with that.
  life.durable = std::max(life.durable, first_kept - 1);
}

void UserOracle::FlushBegins() {
  absl::MutexLock lock(&mutex_);
  for (auto& [number, life] : lives_) life.flushing = life.snapshot;
}

void UserOracle::Flushed() {
  absl::MutexLock lock(&mutex_);
  for (auto& [number, life] : lives_) {
    life.durable = std::max(life.durable, life.flushing);
  }
}

void UserOracle::Note(uint64_t operation, std::string what) {
  absl::MutexLock lock(&mutex_);
  history_.push_back(absl::StrCat("  ", operation, ": ", what));
  if (history_.size() > kHistory) history_.pop_front();
}

std::string UserOracle::History() const {
  absl::MutexLock lock(&mutex_);
  std::string text = absl::StrCat(
      "user ", user_id_, " in life ", issued_.life, ": ", issued_.events,
      " events issued, ", acknowledged_.events, " acknowledged in life ",
      acknowledged_.life, "; the last of what was done by operation:\n");
  return absl::StrCat(text, absl::StrJoin(history_, "\n"), "\n");
}

std::string UserOracle::CheckEvents(const UserHead& head,
                                    const std::vector<LoggedEvent>& log,
                                    const Standing& standing) const {
  const Life& life = lives_.at(standing.life);
  if (head.first_sequence < life.first_at_least ||
      (!trimmed_by_policy_ && head.first_sequence > life.first_at_most)) {
    return absl::StrCat("the log begins at ", head.first_sequence, ", not at ",
                        life.first_at_least, " to ", life.first_at_most);
  }
  if (life.incarnation != 0 && life.incarnation != head.incarnation) {
    return absl::StrCat("life ", standing.life, " has another incarnation");
  }
  for (size_t source = 0; source < kSources; ++source) {
    const auto found = head.watermarks.find(source_names_[source]);
    const uint64_t mark = marks_[source];
    const uint64_t watermark = std::max(
        mark, found == head.watermarks.end() ? 0 : found->second);
    if (watermark != std::max(mark, standing.watermarks[source])) {
      return absl::StrCat("the watermark of ", source_names_[source], " is ",
                          watermark, ", not ", standing.watermarks[source]);
    }
  }
  if (log.size() != head.num_events()) {
    return absl::StrCat("the log has ", log.size(), " events from ",
                        head.first_sequence, " on, the head counts ",
                        head.num_events());
  }
  for (size_t i = 0; i < log.size(); ++i) {
    const uint64_t sequence = head.first_sequence + i;
    const auto [source, of_source] = life.events[sequence - 1];
    const v1::Event event = EventOf(source, of_source);
    const LoggedEvent& logged = log[i];
    if (logged.source != source_names_[source] ||
        logged.source_sequence != of_source ||
        logged.item_id != event.item_id() || logged.action != event.action() ||
        logged.time_us != ToMicros(event.time()) ||
        !std::equal(logged.features.begin(), logged.features.end(),
                    event.features().begin(), event.features().end())) {
      return absl::StrCat("event ", sequence, " of the log is ", logged.source,
                          "'s ", logged.source_sequence, ", not ",
                          source_names_[source], "'s ", of_source);
    }
  }
  return "";
}

std::string UserOracle::CheckLog(const StateStore& store) const {
  const auto head = store.GetHead(user_id_);
  if (!head.ok()) return head.status().ToString();
  if (head->last_sequence != issued_.events ||
      (head->incarnation == 0) != (issued_.events == 0)) {
    return absl::StrCat("the head counts ", head->last_sequence,
                        " events, not ", issued_.events);
  }
  if (issued_.events == 0) return "";
  // One more than there may be.
  const auto log = store.ReadEvents(user_id_, head->first_sequence,
                                    head->num_events() + 1);
  const auto later = store.GetHead(user_id_);
  if (later.ok() && later->first_sequence > head->first_sequence) {
    return CheckLog(store);  // trimmed meanwhile
  }
  if (!log.ok()) return log.status().ToString();
  absl::MutexLock lock(&mutex_);
  return CheckEvents(*head, *log, issued_);
}

std::string UserOracle::CheckSnapshot(const StateStore& store,
                                      const std::string& fingerprint) {
  const Least least = Begin();
  uint64_t newest;
  {
    absl::MutexLock lock(&mutex_);
    newest = lives_.at(least.life).snapshot;
  }
  const auto snapshot = store.GetSnapshot(fingerprint, user_id_);
  if (!snapshot.ok()) return snapshot.status().ToString();
  if (!snapshot->has_value()) {
    if (newest == 0 || least.erasing || least.erasures != Begin().erasures) {
      return "";
    }
    return absl::StrCat("a snapshot of ", newest, " events is gone");
  }
  Sight sight;
  sight.incarnation = (*snapshot)->incarnation;
  sight.folded = (*snapshot)->folded_sequence;
  sight.digest = DigestOf((*snapshot)->state);
  absl::MutexLock lock(&mutex_);
  const std::optional<size_t> number = LifeOf(sight);
  if (!number.has_value() || *number < least.life) {
    return absl::StrCat("the snapshot of ", sight.folded,
                        " events is of an erased user, or of nobody's log");
  }
  Life& life = lives_.at(*number);
  if (sight.folded >= life.digests.size() ||
      life.digests[sight.folded] != *sight.digest) {
    return absl::StrCat("the snapshot of ", sight.folded,
                        " events is not the fold of the log");
  }
  if (*number == least.life && sight.folded < newest) {
    return absl::StrCat("the snapshot goes back from ", newest, " to ",
                        sight.folded, " events");
  }
  life.snapshot = std::max(life.snapshot, sight.folded);
  return "";
}

// -- After a restart ----------------------------------------------------------

void UserOracle::Cut(const Standing& standing, EngineScratch& scratch) {
  issued_ = acknowledged_ = standing;
  const auto sent_before = lives_.at(standing.life).sent_before;
  for (size_t source = 0; source < kSources; ++source) {
    refused_[source].clear();
    // The source begins again with what was not acknowledged.
    sent_[source] = std::max({standing.watermarks[source], marks_[source],
                              sent_before[source]});
  }
  erasures_done_ = erasures_;
  lives_.erase(lives_.upper_bound(standing.life), lives_.end());
  lives_.erase(lives_.begin(), lives_.lower_bound(standing.life));
  Life& life = lives_.at(standing.life);
  life.seen = Least::Seen();
  if (life.events.size() == standing.events) return;
  life.events.resize(standing.events);
  life.digests.resize(standing.events + 1);
  life.state = engine_.empty_state();
  for (const Position& position : life.events) {
    life.state = Fold(*life.state, position, scratch);
  }
  if (standing.events == 0) {  // it has not begun
    life = Life();
    NewLife(standing.life);
    life.sent_before = sent_before;
  }
}

std::string UserOracle::Restart(const StateStore& store,
                                const std::string& fingerprint,
                                std::vector<Standing> possible,
                                EngineScratch& scratch) {
  const auto head = store.GetHead(user_id_);
  if (!head.ok()) return head.status().ToString();
  std::vector<LoggedEvent> log;
  if (head->incarnation != 0) {
    auto read = store.ReadEvents(user_id_, head->first_sequence,
                                 head->num_events() + 1);
    if (!read.ok()) return read.status().ToString();
    log = *std::move(read);
  }
  absl::MutexLock lock(&mutex_);
  possible.insert(possible.begin(), acknowledged_);
  std::string wrong;
  const auto found = std::find_if(
      possible.begin(), possible.end(), [&](const Standing& standing) {
        mutex_.AssertHeld();
        if (head->last_sequence != standing.events ||
            (head->incarnation == 0) != (standing.events == 0)) {
          return false;
        }
        if (standing.events == 0) return true;
        wrong = CheckEvents(*head, log, standing);
        return wrong.empty();
      });
  if (found == possible.end()) {
    return absl::StrCat("the log has ", head->last_sequence, " events; ",
                        acknowledged_.events, " were acknowledged, and ",
                        possible.size() - 1, " operations were under way: ",
                        wrong);
  }
  Cut(*found, scratch);
  Life& life = lives_.at(issued_.life);
  life.first_at_least = life.first_at_most = head->first_sequence;
  const auto snapshot = store.GetSnapshot(fingerprint, user_id_);
  if (!snapshot.ok()) return snapshot.status().ToString();
  const uint64_t folded =
      snapshot->has_value() ? (*snapshot)->folded_sequence : 0;
  if (folded < life.durable || folded + 1 < head->first_sequence) {
    return absl::StrCat("a snapshot of ", life.durable,
                        " events was durable, that of ", folded,
                        " is there, and the log begins at ",
                        head->first_sequence);
  }
  life.snapshot = life.flushing = folded;
  return "";
}

// -- Anybody's ----------------------------------------------------------------

UserOracle::Least UserOracle::Begin() const {
  absl::MutexLock lock(&mutex_);
  Least least;
  least.life = acknowledged_.life;
  least.events = acknowledged_.events;
  least.erasing = erasures_done_ < erasures_;
  least.erasures = erasures_;
  const auto life = lives_.find(least.life);
  least.first_sequence = life->second.first_at_least;
  for (const auto& [number, seen] : lives_) {
    if (seen.seen.last_sequence > 0) least.seen.emplace(number, seen.seen);
  }
  return least;
}

std::optional<size_t> UserOracle::LifeOf(const Sight& sight) {
  if (sight.incarnation.has_value()) {
    for (const auto& [number, life] : lives_) {
      if (life.incarnation == *sight.incarnation) return number;
    }
  }
  for (auto& [number, life] : lives_) {
    if (!sight.digest.has_value() || sight.folded == 0) break;
    if (life.incarnation != 0 && sight.incarnation.has_value()) continue;
    if (sight.folded >= life.digests.size() ||
        life.digests[sight.folded] != *sight.digest) {
      continue;
    }
    if (sight.incarnation.has_value()) life.incarnation = *sight.incarnation;
    return number;
  }
  return std::nullopt;
}

std::string UserOracle::CheckUnknown(const Least& least) const {
  if (least.erasing || erasures_ != least.erasures) return "";
  if (least.events > 0) {
    return absl::StrCat("nobody knows the user, of whom ", least.events,
                        " events were acknowledged");
  }
  return least.seen.contains(least.life) ? "nobody knows the user any more"
                                         : "";
}

std::string UserOracle::End(const Least& least, const Sight& sight) {
  absl::MutexLock lock(&mutex_);
  const bool unknown = sight.incarnation.has_value()
                           ? *sight.incarnation == 0
                           : sight.last_sequence == 0;
  if (unknown) return CheckUnknown(least);
  std::optional<size_t> number = LifeOf(sight);
  const bool erased = least.erasing || erasures_ != least.erasures;
  if (!number.has_value() && !sight.digest.has_value()) {
    if (erased) return "";  // of whichever life
    number = least.life;
  }
  if (!number.has_value() && sight.folded == 0) return "";
  const std::string seen =
      absl::StrCat(sight.folded, " of ", sight.last_sequence, " events");
  if (!number.has_value()) return absl::StrCat(seen, ": no fold of any log");
  if (*number < least.life ||
      (!least.seen.empty() && *number < least.seen.rbegin()->first)) {
    return absl::StrCat(seen, " of an erased user, of life ", *number);
  }
  Life& life = lives_.at(*number);
  if (sight.last_sequence >= life.digests.size() ||
      sight.folded > sight.last_sequence) {
    return absl::StrCat(seen, ", of ", life.events.size(), " ever sent");
  }
  if (sight.digest.has_value() && life.digests[sight.folded] != *sight.digest) {
    return absl::StrCat(seen, ": not the fold of the log");
  }
  if (*number == least.life && sight.last_sequence < least.events) {
    return absl::StrCat(seen, "; ", least.events, " were acknowledged");
  }
  if (*number == least.life && sight.incarnation.has_value() &&
      sight.first_sequence < least.first_sequence) {
    return absl::StrCat(seen, " from ", sight.first_sequence, " on; those to ",
                        least.first_sequence, " were trimmed");
  }
  if (const auto before = least.seen.find(*number);
      before != least.seen.end() &&
      (sight.folded < before->second.folded ||
       sight.last_sequence < before->second.last_sequence ||
       (sight.incarnation.has_value() &&
        sight.first_sequence < before->second.first_sequence))) {
    return absl::StrCat(seen, ", and an earlier reader has seen ",
                        before->second.folded, " of ",
                        before->second.last_sequence, " in life ", *number);
  }
  life.seen.folded = std::max(life.seen.folded, sight.folded);
  life.seen.last_sequence =
      std::max(life.seen.last_sequence, sight.last_sequence);
  life.seen.first_sequence =
      std::max(life.seen.first_sequence, sight.first_sequence);
  return "";
}

}  // namespace qlarank::testing

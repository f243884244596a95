#include "tests/owners/walker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/fresh_fold.h"

namespace qlarank::testing {
namespace {

// Answers are a matter of milliseconds.
constexpr absl::Duration kAnswerPatience = absl::Seconds(60);

const char* NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kApplied:
      return "applied";
    case Outcome::kDuplicate:
      return "duplicate";
    case Outcome::kInvalid:
      return "invalid";
    case Outcome::kHeldBack:
      return "held back";
    case Outcome::kCancelled:
      return "cancelled";
  }
  return "";
}

absl::StatusCode CodeOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kInvalid:
      return absl::StatusCode::kInvalidArgument;
    case Outcome::kHeldBack:
      return absl::StatusCode::kAborted;
    case Outcome::kCancelled:
      return absl::StatusCode::kCancelled;
    default:
      return absl::StatusCode::kOk;
  }
}

}  // namespace

// -- Findings -----------------------------------------------------------------

void Findings::Report(std::string what) {
  absl::MutexLock lock(&mutex_);
  if (!any_.exchange(true)) first_ = std::move(what);
}

std::string Findings::first() const {
  absl::MutexLock lock(&mutex_);
  return first_;
}

void Findings::Count(const std::string& kind, uint64_t times) {
  absl::MutexLock lock(&mutex_);
  counts_[kind] += times;
}

std::map<std::string, uint64_t> Findings::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

namespace {

// What could not be read, with what there is now.
std::string Unread(const absl::Status& status, Serving& serving,
                   const UserOracle& user) {
  const auto head = serving.store().GetHead(user.user_id());
  const auto snapshot = serving.Snapshotted(user.user_id());
  return absl::StrCat(
      status.ToString(), "; now the log has ",
      head.ok() ? head->first_sequence : 0, " to ",
      head.ok() ? head->last_sequence : 0, ", the snapshot ",
      snapshot.ok() ? absl::StrCat(*snapshot) : snapshot.status().ToString());
}

}  // namespace

// -- Look-ups -----------------------------------------------------------------

void LookUp(UserOracle& user, Serving& serving, std::mt19937_64& random,
            EngineScratch& scratch, const std::string& who,
            Findings& findings) {
  const auto wrong = [&](absl::string_view kind, absl::string_view what) {
    findings.Report(
        absl::StrCat(who, ": ", kind, ": ", what, "\n", user.History()));
  };
  const uint64_t kind = random() % 16;
  if (kind >= 14) {
    const std::string fault = user.CheckSnapshot(
        serving.store(), serving.engine().state_fingerprint());
    if (!fault.empty()) wrong("snapshot", fault);
    return findings.Count("look-ups of snapshots");
  }
  const UserOracle::Least least = user.Begin();
  StateDemand demand;
  if (random() % 4 == 0 && !least.erasing) {
    demand.min_event_count = least.events;
  }
  if (random() % 8 == 0) demand.max_events_behind = random() % 3;
  const char* name = kind < 3 ? "Rank" : kind < 6 ? "GetUserState" : "read";
  const absl::StatusOr<Sight> sight =
      kind < 3   ? serving.Rank(user.user_id(), demand)
      : kind < 6 ? serving.GetUserState(user.user_id(), demand)
                 : serving.Read(user.user_id(), demand, scratch);
  findings.Count(absl::StrCat("look-ups by ", name));
  if (!sight.ok()) {
    const bool erased =
        least.erasing || user.Begin().erasures != least.erasures;
    if (!erased || !(absl::IsFailedPrecondition(sight.status()) ||
                     absl::IsUnavailable(sight.status()))) {
      wrong(name, Unread(sight.status(), serving, user));
    }
    return;
  }
  const std::string fault = user.End(least, *sight);
  if (!fault.empty()) return wrong(name, fault);
  if (sight->folded < demand.min_event_count) {
    wrong(name, absl::StrCat(sight->folded, " events, at least ",
                             demand.min_event_count, " were asked for"));
  }
}

// -- Walker -------------------------------------------------------------------

Walker::Walker(size_t number, size_t num_users, uint64_t seed,
               const Engine& engine, Findings& findings)
    : number_(number),
      engine_(engine),
      findings_(findings),
      scratch_(engine.NewScratch()),
      random_(seed),
      possible_(num_users) {
  for (size_t source = 0; source < kSources; ++source) {
    source_names_.push_back(absl::StrCat("source", number, "-", source));
  }
  for (size_t user = 0; user < num_users; ++user) {
    users_.push_back(std::make_unique<UserOracle>(
        absl::StrCat("user", number, "-", user), source_names_, marks_,
        engine));
  }
}

std::string Walker::Who() const {
  return absl::StrCat("walker ", number_, ", operation ", operations_);
}

void Walker::Wrong(const UserOracle& user, const std::string& what) {
  findings_.Report(absl::StrCat(Who(), ": ", what, "\n", user.History()));
}

void Walker::Walk(Serving& serving, uint64_t operations,
                  const std::function<void()>& after_each) {
  max_under_way_ = OneIn(4) ? 1 : 1 + Below(48);
  served_scratch_ = serving.engine().NewScratch();
  for (uint64_t i = 0; i < operations && !findings_.any(); ++i) {
    ++operations_;
    Operate(serving);
    TakeAnswers(false);
    after_each();
  }
  // Whatever comes next may come in the middle of these.
  for (uint64_t i = Below(30); i > 0 && !findings_.any(); --i) {
    ++operations_;
    if (OneIn(12)) {
      Erase(serving);
    } else {
      Append(serving, Outcome::kApplied);
    }
  }
}

void Walker::Operate(Serving& serving) {
  const uint64_t choice = Below(1000);
  if (choice < 560) {
    Append(serving, Outcome::kApplied);
  } else if (choice < 590) {
    Append(serving, Outcome::kInvalid);
  } else if (choice < 595) {
    Append(serving, Outcome::kCancelled);
  } else if (choice < 610) {
    Erase(serving);
  } else if (choice < 650) {
    Trim(serving);
  } else if (choice < 652) {
    MarkSource(serving);
  } else if (choice < 655) {
    Flush(serving);
  } else if (choice < 656) {
    Purge(serving);
  } else if (choice < 690) {
    CheckUser(AnyUser(), serving);
  } else {
    LookUp(*users_[AnyUser()], serving, random_, *served_scratch_, Who(),
           findings_);
  }
}

// Some have much more than others.
size_t Walker::AnyUser() {
  return std::min(Below(users_.size()), Below(users_.size()));
}

size_t Walker::BurstSize() {
  const uint64_t choice = Below(1000);
  if (choice < 900) return 1 + Below(4);
  if (choice < 980) return 5 + Below(40);
  if (choice < 990) return 254 + Below(5);
  return 300 + Below(600);
}

void Walker::Append(Serving& serving, Outcome unless_sound) {
  // What is refused at once must not come before what waits.
  if (unless_sound != Outcome::kApplied) TakeAnswers(true);
  auto append = std::make_shared<UnderWay>();
  append->operation = operations_;
  const size_t source = Below(kSources);
  append->request.set_source(source_names_[source]);
  append->request.set_give_up_refused(unless_sound == Outcome::kInvalid &&
                                      OneIn(3));
  for (uint64_t i = 1 + Below(3); i > 0; --i) {
    const size_t user = AnyUser();
    if (append->after.contains(user)) continue;
    AddEvents(user, source, BurstSize(), unless_sound, *append);
    append->after[user] = users_[user]->issued();
  }
  findings_.Count("appends");
  findings_.Count("events sent", append->request.events_size());
  static constexpr std::atomic<bool> kCancelled = true;
  AppendCall::Caller caller;
  caller.client = source_names_[source];
  if (unless_sound == Outcome::kCancelled) caller.cancelled = &kCancelled;
  under_way_.push_back(append);
  serving.pipeline().ingest().Append(
      append->request, absl::Now(), caller, IngestPipeline::OnFull::kWait,
      [append](AppendResult result) {
        append->result = std::move(result);
        append->done.Notify();
      });
}

void Walker::AddEvents(size_t index, size_t source, size_t count,
                       Outcome unless_sound, UnderWay& append) {
  UserOracle& user = *users_[index];
  uint64_t next = user.NextOf(source);
  if (OneIn(5)) {  // again
    next -= Below(std::min<uint64_t>(next - user.FirstOf(source) + 1, 8));
  } else if (OneIn(12)) {
    next = user.sent(source) + 1 + Below(5);  // a gap, or past a refused one
  } else if (const auto& refused = user.refused(source);
             !refused.empty() && OneIn(3)) {
    next = *std::next(refused.begin(), Below(refused.size()));  // too early
  }
  const uint64_t first = next;
  // Where everything is refused that is no more than what was sent before.
  const size_t before = unless_sound == Outcome::kInvalid ? Below(3) : count;
  const Outcome of_all = unless_sound == Outcome::kCancelled
                             ? Outcome::kCancelled
                             : Outcome::kApplied;
  for (size_t i = 0; i < before; ++i) {
    AddEvent(user, source, next++, of_all, append);
  }
  if (unless_sound == Outcome::kInvalid) {
    next = user.sent(source) + 1;
    AddEvent(user, source, next++, Outcome::kInvalid, append);
    for (size_t i = Below(3); i > 0; --i) {
      AddEvent(user, source, next++, Outcome::kApplied, append);
    }
  }
  user.Note(operations_,
            absl::StrCat(source_names_[source], " sends ", first, " to ",
                         next - 1, ", the last is ",
                         append.expected.empty()
                             ? "none"
                             : NameOf(append.expected.back()),
                         "; then ", user.issued().events, " events"));
}

void Walker::AddEvent(UserOracle& user, size_t source, uint64_t sequence,
                      Outcome unless_sound, UnderWay& append) {
  v1::UserEvent& event = *append.request.add_events();
  event.set_user_id(user.user_id());
  event.set_sequence(sequence);
  *event.mutable_event() = user.EventOf(source, sequence);
  if (unless_sound == Outcome::kInvalid) {
    event.mutable_event()->set_action("no such action");
  }
  append.expected.push_back(user.Send(source, sequence, unless_sound,
                                      append.request.give_up_refused(),
                                      *scratch_));
}

void Walker::Erase(Serving& serving) {
  const size_t index = Below(users_.size());
  UserOracle& user = *users_[index];
  auto erasure = std::make_shared<UnderWay>();
  erasure->operation = operations_;
  erasure->is_erasure = true;
  erasure->gone = user.Erase();
  erasure->after[index] = user.issued();
  user.Note(operations_, "is erased");
  findings_.Count("erasures");
  under_way_.push_back(erasure);
  serving.pipeline().ingest().DeleteUser(
      user.user_id(), {}, [erasure](absl::StatusOr<uint64_t> removed) {
        erasure->removed = std::move(removed);
        erasure->done.Notify();
      });
}

void Walker::Trim(Serving& serving) {
  UserOracle& user = *users_[AnyUser()];
  const uint64_t events = user.issued().events;
  if (events == 0) return;
  uint64_t kept = 1 + Below(events);
  const auto snapshot = serving.Snapshotted(user.user_id());
  if (!snapshot.ok()) return Wrong(user, snapshot.status().ToString());
  if (!OneIn(4)) kept = std::clamp<uint64_t>(*snapshot + 1, 1, events);
  user.Trimming(kept);
  absl::Status status;
  absl::Notification done;
  serving.pipeline()
      .partitions()
      .OwnerOf(user.user_id())
      .Trim(user.user_id(), kept, [&](absl::Status result) {
        status = std::move(result);
        done.Notify();
      });
  done.WaitForNotification();
  user.Note(operations_, absl::StrCat("is trimmed to ", kept, " of ", events,
                                      ": ", status.ToString()));
  if (status.ok()) {
    user.Trimmed(kept);
    findings_.Count("trims");
  } else if (absl::IsFailedPrecondition(status)) {
    findings_.Count("trims refused");
  } else {
    Wrong(user, status.ToString());
  }
}

void Walker::MarkSource(Serving& serving) {
  TakeAnswers(true);
  const size_t source = Below(kSources);
  const uint64_t through = users_[AnyUser()]->sent(source);
  if (through == 0) return;
  absl::StatusOr<SourceMark> mark;
  absl::Notification done;
  serving.pipeline().ingest().MarkSource(source_names_[source], {through, ""},
                                         "walker",
                                         [&](absl::StatusOr<SourceMark> held) {
                                           mark = std::move(held);
                                           done.Notify();
                                         });
  done.WaitForNotification();
  marks_[source] = std::max(marks_[source], through);
  findings_.Count("marks of sources");
  if (!mark.ok() || mark->complete_through != marks_[source]) {
    findings_.Report(absl::StrCat(Who(), ": the mark of ",
                                  source_names_[source], " is ",
                                  mark.ok() ? mark->complete_through : 0,
                                  ", not ", marks_[source], ": ",
                                  mark.status().ToString()));
  }
  for (const auto& user : users_) {
    user->Mark(source, marks_[source]);
    user->Note(operations_, absl::StrCat(source_names_[source],
                                         " is complete through ",
                                         marks_[source]));
  }
}

void Walker::Flush(Serving& serving) {
  for (const auto& user : users_) user->FlushBegins();
  const absl::Status status = serving.Flush();
  if (!status.ok()) findings_.Report(status.ToString());
  for (const auto& user : users_) user->Flushed();
  findings_.Count("flushes");
}

void Walker::Purge(Serving& serving) {
  const absl::Status status = serving.Purge();
  if (!status.ok()) findings_.Report(status.ToString());
  findings_.Count("purges");
}

// -- Answers ------------------------------------------------------------------

void Walker::TakeAnswers(bool all) {
  while (!under_way_.empty()) {
    UnderWay& oldest = *under_way_.front();
    if (all || under_way_.size() >= max_under_way_) {
      if (!oldest.done.WaitForNotificationWithTimeout(kAnswerPatience)) {
        return Wrong(*users_[oldest.after.begin()->first],
                     absl::StrCat("no answer to operation ",
                                  oldest.operation));
      }
    } else if (!oldest.done.HasBeenNotified()) {
      return;
    }
    Take(oldest);
    under_way_.pop_front();
  }
}

void Walker::Take(UnderWay& operation) {
  if (operation.is_erasure) {
    UserOracle& user = *users_[operation.after.begin()->first];
    const auto& removed = operation.removed;
    if (!removed.ok() || *removed < operation.gone.at_least ||
        *removed > operation.gone.at_most) {
      Wrong(user, absl::StrCat("operation ", operation.operation, " erased ",
                               removed.ok() ? *removed : 0, " events, not ",
                               operation.gone.at_least, " to ",
                               operation.gone.at_most, ": ",
                               removed.status().ToString()));
    }
  } else {
    CheckAnswer(operation);
  }
  for (const auto& [user, standing] : operation.after) {
    users_[user]->Acknowledge(standing);
    if (operation.is_erasure) users_[user]->Erased();
    possible_[user].clear();
  }
}

void Walker::CheckAnswer(const UnderWay& append) {
  const v1::AppendEventsResponse& response = append.result.response;
  std::map<uint32_t, int> codes;
  for (const v1::Refusal& refusal : response.refusals()) {
    codes[refusal.index()] = refusal.status().code();
  }
  for (int i = 0; i < append.request.events_size(); ++i) {
    const Outcome expected = append.expected[i];
    const auto outcome = response.outcomes_size() > 0
                             ? response.outcomes(i)
                             : v1::EVENT_OUTCOME_APPLIED;
    const int code = codes.contains(i) ? codes[i] : 0;
    const bool right =
        code == static_cast<int>(CodeOf(expected)) &&
        outcome == (expected == Outcome::kApplied ? v1::EVENT_OUTCOME_APPLIED
                    : expected == Outcome::kDuplicate
                        ? v1::EVENT_OUTCOME_DUPLICATE
                        : v1::EVENT_OUTCOME_REFUSED);
    if (right) continue;
    const v1::UserEvent& event = append.request.events(i);
    for (const auto& [user, unused] : append.after) {
      if (users_[user]->user_id() != event.user_id()) continue;
      return Wrong(*users_[user],
                   absl::StrCat("operation ", append.operation, ", event ",
                                event.sequence(), " of ",
                                append.request.source(), " was to be ",
                                NameOf(expected), ", not ",
                                v1::EventOutcome_Name(outcome), ", code ",
                                code, ": ",
                                append.result.status.ToString()));
    }
  }
}

// -- Everything of a user -----------------------------------------------------

void Walker::CheckUser(size_t index, Serving& serving) {
  TakeAnswers(true);
  findings_.Count("users checked in full");
  UserOracle& user = *users_[index];
  const uint64_t events = user.issued().events;
  const UserOracle::Least least = user.Begin();
  StateDemand demand;
  demand.min_event_count = events;
  const auto sight = serving.Read(user.user_id(), demand, *served_scratch_);
  std::string fault =
      sight.ok() ? user.End(least, *sight)
                 : Unread(sight.status(), serving, user);
  if (fault.empty() && sight->folded != events) {
    fault = absl::StrCat(sight->folded, " events are folded, of ", events);
  }
  if (fault.empty()) fault = user.CheckLog(serving.store());
  if (fault.empty()) {
    fault = user.CheckSnapshot(serving.store(),
                               serving.engine().state_fingerprint());
  }
  if (fault.empty() && sight->first_sequence == 1 && OneIn(8)) {
    const auto fresh = FreshFold(engine_, serving.store(), user.user_id());
    // Not of one whose log was trimmed meanwhile.
    if (fresh.ok() && DigestOf(*fresh) != *sight->digest) {
      fault = "the state is not what the log gives now";
    }
    findings_.Count("fresh folds");
  }
  if (!fault.empty()) Wrong(user, fault);
}

void Walker::Settle(Serving& serving) {
  served_scratch_ = serving.engine().NewScratch();
  TakeAnswers(true);
  for (size_t user = 0; user < users_.size(); ++user) {
    CheckUser(user, serving);
  }
  // What readers asked for is published too.
  if (!serving.pipeline().WaitUntilFolded(kAnswerPatience)) {
    return findings_.Report(absl::StrCat(Who(), ": not all is folded"));
  }
  for (const auto& user : users_) {
    const auto published = serving.Published(user->user_id());
    if (!published.ok()) return Wrong(*user, published.status().ToString());
    if (published->has_value() && **published != user->issued().events) {
      return Wrong(*user, absl::StrCat(**published, " events are published, of ",
                                       user->issued().events));
    }
  }
}

// -- Crashes ------------------------------------------------------------------

void Walker::Crash() {
  for (const auto& operation : under_way_) {
    if (operation->done.HasBeenNotified()) {
      Take(*operation);
      continue;
    }
    findings_.Count("operations under way in a crash");
    for (const auto& [user, standing] : operation->after) {
      possible_[user].push_back(standing);
    }
  }
  under_way_.clear();
}

void Walker::Restart(const StateStore& store, const std::string& fingerprint,
                     bool by_policy) {
  for (size_t i = 0; i < users_.size() && !findings_.any(); ++i) {
    const std::string fault = users_[i]->Restart(
        store, fingerprint, std::exchange(possible_[i], {}), *scratch_);
    if (!fault.empty()) Wrong(*users_[i], absl::StrCat("restart: ", fault));
    users_[i]->set_trimmed_by_policy(by_policy);
    users_[i]->Note(operations_,
                    absl::StrCat("a new life of the process; ",
                                 users_[i]->issued().events, " events"));
  }
}

}  // namespace qlarank::testing

#include "server/ingest/ingest_pipeline.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/ingest/append_rules.h"
#include "server/ingest/expanded_append.h"
#include "server/models/event_rules.h"
#include "server/partition/refusal.h"
#include "server/work/field_error.h"
#include "server/work/overload.h"
#include "server/work/steady_now.h"
#include "state_store/failpoint.h"

namespace qlarank {

namespace {

constexpr size_t kMaxSourceCalls = 1024;
constexpr size_t kMaxNoteBytes = 1024;

absl::Status CheckMark(const SourceMark& mark) {
  if (absl::Status status =
          CheckSequence("complete_through", mark.complete_through);
      !status.ok()) {
    return status;
  }
  if (mark.note.size() > kMaxNoteBytes) {
    return FieldError("note", Quoted(mark.note),
                      absl::StrCat("must be at most ", kMaxNoteBytes, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

IngestPipeline::IngestPipeline(StateStore& store, const ModelRegistry& models,
                               Partitions& partitions, Metrics& metrics,
                               const LimitsOptions& limits,
                               const IngestOptions& options)
    : store_(store),
      models_(models),
      partitions_(partitions),
      metrics_(metrics),
      limits_(limits),
      admission_(partitions.num_owners(), options.max_queued_events),
      source_calls_(kMaxSourceCalls) {}

IngestPipeline::~IngestPipeline() { partitions_.Drain(); }

void IngestPipeline::Append(const v1::AppendEventsRequest& request,
                            absl::Time now, const Caller& caller,
                            OnFull on_full, AppendDone done,
                            absl::AnyInvocable<void()> admitted) {
  const auto answer = [&](AppendResult result) {
    if (admitted != nullptr) admitted();
    done(std::move(result));
  };
  if (absl::Status status = CheckAppend(request, limits_); !status.ok()) {
    metrics_.ingest.events_invalid.Increment(request.events_size());
    if (CheckSource(request.source(), limits_).ok()) {
      AppendTally unused;
      for (int i = 0; i < request.events_size(); ++i) {
        Refuse(request, i, status, unused);
      }
    }
    return answer({std::move(status), {}});
  }
  std::shared_ptr<const Registry> registry = models_.Current();
  size_t unknown = 0;
  auto expanded = ExpandCategories(
      request, registry->default_model()->event_categories, unknown);
  if (expanded == nullptr) {
    return AppendFeatures(request, std::move(registry), now, caller, on_full,
                          std::move(done), std::move(admitted));
  }
  metrics_.ingest.unknown_category_values.Increment(unknown);
  const v1::AppendEventsRequest& features = *expanded;
  AppendFeatures(
      features, std::move(registry), now, caller, on_full,
      [expanded = std::move(expanded),
       done = std::move(done)](AppendResult result) mutable {
        done(std::move(result));
      },
      std::move(admitted));
}

void IngestPipeline::AppendFeatures(
    const v1::AppendEventsRequest& request,
    std::shared_ptr<const Registry> registry, absl::Time now,
    const Caller& caller, OnFull on_full, AppendDone done,
    absl::AnyInvocable<void()> admitted) {
  const auto answer = [&](AppendResult result) {
    if (admitted != nullptr) admitted();
    done(std::move(result));
  };
  Sorted sorted = Sort(request, *registry, now, AppendCall::CheckWanted(caller, now));
  const auto none = [](size_t amount) { return amount == 0; };
  if (std::all_of(sorted.amounts.begin(), sorted.amounts.end(), none)) {
    return answer(
        MakeAppendResult(request.events_size(), std::move(sorted.refused)));
  }
  if (on_full == OnFull::kRefuse &&
      !admission_.TryTake(caller.client, sorted.amounts)) {
    RefuseParts(request, sorted, QueueFull());
    return answer(
        MakeAppendResult(request.events_size(), std::move(sorted.refused)));
  }
  if (on_full == OnFull::kRefuse) {
    Queue(request, std::move(registry), now, caller, std::move(sorted),
              std::move(done));
    if (admitted != nullptr) admitted();
    return;
  }
  std::vector<size_t> amounts = sorted.amounts;
  admission_.TakeWhenRoom(
      caller.client, std::move(amounts),
      [this, &request, registry = std::move(registry), now, caller,
       sorted = std::move(sorted), done = std::move(done), admitted = std::move(admitted)]() mutable {
        Queue(request, std::move(registry), now, caller, std::move(sorted),
              std::move(done));
        if (admitted != nullptr) admitted();
      });
}

IngestPipeline::Sorted IngestPipeline::Sort(
    const v1::AppendEventsRequest& request, const Registry& registry,
    absl::Time now, const absl::Status& wanted) {
  Sorted sorted;
  sorted.parts.resize(partitions_.num_owners());
  sorted.amounts.resize(partitions_.num_owners());
  const absl::Time latest = admission_clock_.Now(now, SteadyNow());
  for (int i = 0; i < request.events_size(); ++i) {
    const v1::UserEvent& event = request.events(i);
    if (!wanted.ok()) {
      Refuse(request, i, NotWanted(wanted), sorted.refused);
      continue;
    }
    absl::Status fault =
        CheckExpanded(event, registry.default_model()->event_categories);
    fault.Update(
        CheckUserEvent(event, registry.vocabulary(), limits_, latest));
    if (!fault.ok()) {
      Refuse(request, i, InvalidEvent(i, fault), sorted.refused);
      continue;
    }
    const size_t owner = partitions_.OwnerNumber(event.user_id());
    sorted.parts[owner].push_back(i);
    ++sorted.amounts[owner];
  }
  size_t invalid = 0;
  if (wanted.ok()) invalid = sorted.refused.refusals.size();
  metrics_.ingest.events_invalid.Increment(invalid);
  metrics_.ingest.events_refused.Increment(sorted.refused.refusals.size() -
                                           invalid);
  return sorted;
}

void IngestPipeline::Queue(const v1::AppendEventsRequest& request,
                           std::shared_ptr<const Registry> registry,
                           absl::Time now, const Caller& caller, Sorted sorted,
                           AppendDone done) {
  const size_t num_parts =
      std::count_if(sorted.amounts.begin(), sorted.amounts.end(),
                    [](size_t amount) { return amount > 0; });
  auto leave = [this, client = caller.client](size_t partition,
                                              size_t num_events) {
    admission_.Return(partition, client, num_events);
  };
  auto call = std::make_shared<AppendCall>(
      request, std::move(registry), now, caller, std::move(sorted.refused),
      num_parts, std::move(leave), std::move(done));
  for (size_t i = 0; i < partitions_.num_owners(); ++i) {
    if (sorted.amounts[i] == 0) continue;
    partitions_.owner(i).Append(call, std::move(sorted.parts[i]));
  }
}

void IngestPipeline::Refuse(const v1::AppendEventsRequest& request,
                            uint32_t index, absl::Status status,
                            AppendTally& refused) {
  // At once, and so for what is queued already, too: of a user and source that
  // comes before this event, unless its client mixes up their order.
  const v1::UserEvent& event = request.events(index);
  if (HasPosition(event, limits_)) {
    partitions_.OwnerOf(event.user_id()).fence().Settle(
        event.user_id(), request.source(), event.sequence(),
        request.give_up_refused() && IsForGood(status));
  }
  refused.refusals.push_back({index, std::move(status)});
}

void IngestPipeline::RefuseParts(const v1::AppendEventsRequest& request,
                                 Sorted& sorted, const absl::Status& status) {
  for (const std::vector<uint32_t>& part : sorted.parts) {
    for (const uint32_t i : part) Refuse(request, i, status, sorted.refused);
    metrics_.ingest.events_refused.Increment(part.size());
  }
}

void IngestPipeline::DoForSource(const std::string& source,
                                 absl::string_view client, MarkDone done,
                                 absl::AnyInvocable<void(MarkDone)> action) {
  if (absl::Status status = CheckSource(source, limits_); !status.ok()) {
    return done(status);
  }
  if (!source_calls_.TryTake(client)) {
    return done(OverloadError("too many calls for sources wait; try again later",
                              kQueueRetryDelay));
  }
  MarkDone end = [this, client = std::string(client), done = std::move(done)](
                     absl::StatusOr<SourceMark> mark) mutable {
    source_calls_.Return(client);
    done(std::move(mark));
  };
  action(std::move(end));
}

void IngestPipeline::MarkSource(const std::string& source, SourceMark mark,
                                absl::string_view client, MarkDone done) {
  if (absl::Status status = CheckMark(mark); !status.ok()) {
    return done(status);
  }
  const auto begin = [this, &source, &mark](MarkDone end) {
    // The last of the owners to come this far, past whatever was queued before,
    // makes the mark.
    struct Barrier {
      std::atomic<size_t> owners_left;
      std::string source;
      SourceMark mark;
      MarkDone done;
    };
    auto barrier = std::make_shared<Barrier>();
    barrier->owners_left = partitions_.num_owners();
    barrier->source = source;
    barrier->mark = std::move(mark);
    barrier->done = std::move(end);
    const auto arrive = [this, barrier] {
      if (--barrier->owners_left > 0) return;
      QLARANK_FAILPOINT("mark.before_write");
      absl::StatusOr<SourceMark> held =
          partitions_.marks().Raise(barrier->source, barrier->mark);
      QLARANK_FAILPOINT("mark.written");
      if (held.ok()) {
        for (size_t i = 0; i < partitions_.num_owners(); ++i) {
          partitions_.owner(i).fence().GiveUpSource(barrier->source,
                                                    held->complete_through);
        }
      } else {
        held = NotWritten(held.status().message());
      }
      barrier->done(std::move(held));
    };
    for (size_t i = 0; i < partitions_.num_owners(); ++i) {
      partitions_.owner(i).Do(arrive);
    }
  };
  DoForSource(source, client, std::move(done), begin);
}

void IngestPipeline::GetSource(const std::string& source,
                               absl::string_view client, MarkDone done) {
  DoForSource(source, client, std::move(done), [this, &source](MarkDone end) {
    partitions_.OwnerOf(source).Do(
        [this, source, end = std::move(end)]() mutable {
          end(partitions_.marks().Get(source));
        });
  });
}

void IngestPipeline::DeleteUser(const std::string& user_id, ErasureOrder order,
                                DeleteDone done) {
  if (absl::Status status = CheckUserId(user_id, limits_); !status.ok()) {
    done(status);
    return;
  }
  partitions_.OwnerOf(user_id).Erase(user_id, std::move(order),
                                     std::move(done));
}

}  // namespace qlarank

#include "server/pipeline/ingest_pipeline.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "server/pipeline/event_rules.h"
#include "server/pipeline/overload.h"
#include "server/pipeline/steady_now.h"
#include "state_store/failpoint.h"

namespace qlarank {

IngestPipeline::IngestPipeline(StateStore& store, const ModelRegistry& models,
                               UserLocks& locks, Metrics& metrics,
                               const LimitsOptions& limits,
                               const IngestOptions& options)
    : store_(store),
      models_(models),
      locks_(locks),
      metrics_(metrics),
      limits_(limits) {
  IngestShard::Options shard;
  shard.max_group_events = options.max_group_events;
  shard.max_queued_events = options.max_queued_events;
  shard.max_sources_per_user = limits.max_sources_per_user;
  for (size_t i = 0; i < options.shards; ++i) {
    IngestShard::Hooks hooks;
    hooks.appended = [this](absl::Span<const UserAppend> appends,
                            absl::Time arrival) {
      for (const auto& model : models_.models()) {
        model->folder->MarkDirty(appends, arrival);
      }
    };
    hooks.erase = [this](absl::string_view user_id, const ErasureOrder& order) {
      return EraseNow(user_id, order);
    };
    shards_.push_back(
        std::make_unique<IngestShard>(store, metrics, shard, std::move(hooks)));
  }
}

IngestPipeline::~IngestPipeline() = default;

size_t IngestPipeline::ShardOf(absl::string_view user_id) const {
  return absl::HashOf(user_id) % shards_.size();
}

bool IngestPipeline::full(absl::string_view client) const {
  return std::any_of(
      shards_.begin(), shards_.end(),
      [client](const auto& shard) { return shard->room().full(client); });
}

void IngestPipeline::Append(const v1::AppendEventsRequest& request,
                            absl::Time now, const Caller& caller,
                            OnFull on_full, AppendDone done) {
  if (absl::Status status = AppendCall::CheckWanted(caller, now);
      !status.ok()) {
    done(status);
    return;
  }
  if (absl::Status status =
          CheckAppend(request, models_.bundles(), limits_,
                      admission_clock_.Now(now, SteadyNow()));
      !status.ok()) {
    metrics_.ingest.events_invalid.Increment(request.events_size());
    done(status);
    return;
  }

  std::vector<std::vector<uint32_t>> parts(shards_.size());
  for (int i = 0; i < request.events_size(); ++i) {
    parts[ShardOf(request.events(i).user_id())].push_back(i);
  }
  size_t num_parts = 0;
  for (size_t shard = 0; shard < parts.size(); ++shard) {
    const size_t num_events = parts[shard].size();
    if (num_events == 0) continue;
    ++num_parts;
    if (on_full == OnFull::kQueue) {
      shards_[shard]->room().Take(caller.client, num_events);
    } else if (!shards_[shard]->room().TryTake(caller.client, num_events)) {
      for (size_t k = 0; k < shard; ++k) {
        if (parts[k].empty()) continue;
        shards_[k]->room().Return(caller.client, parts[k].size());
      }
      done(OverloadError(
          "too many events wait to be written, of this client or of all; try "
          "again later",
          kQueueRetryDelay));
      return;
    }
  }
  if (num_parts == 0) {
    done(v1::AppendEventsResponse());
    return;
  }
  auto call =
      std::make_shared<AppendCall>(request, models_.default_action(), now,
                                   caller, num_parts, std::move(done));
  for (size_t shard = 0; shard < parts.size(); ++shard) {
    if (parts[shard].empty()) continue;
    shards_[shard]->Append(call, std::move(parts[shard]));
  }
}

void IngestPipeline::DeleteUser(const std::string& user_id, ErasureOrder order,
                                DeleteDone done) {
  if (absl::Status status = CheckUserId(user_id, limits_); !status.ok()) {
    done(status);
    return;
  }
  shards_[ShardOf(user_id)]->Erase(user_id, std::move(order), std::move(done));
}

void IngestPipeline::TrimLog(const std::string& user_id, uint64_t first_kept,
                             absl::AnyInvocable<void(absl::Status)> done) {
  shards_[ShardOf(user_id)]->Do(
      [this, user_id, first_kept, done = std::move(done)]() mutable {
        std::vector<std::string> fingerprints;
        for (const auto& model : models_.models()) {
          fingerprints.push_back(model->engine->state_fingerprint());
        }
        done(store_.TrimLog(user_id, first_kept, fingerprints));
      });
}

absl::StatusOr<uint64_t> IngestPipeline::EraseNow(absl::string_view user_id,
                                                  const ErasureOrder& order) {
  if (order.only_if != nullptr) {
    const absl::StatusOr<UserHead> head = store_.GetHead(user_id);
    if (!head.ok()) return head.status();
    if (!order.only_if(*head)) return 0;
  }
  // Under the user's lock, so that a fold in flight publishes before the
  // erasure, and is erased, or after it, and finds another incarnation.
  absl::MutexLock lock(&locks_.For(user_id));
  absl::StatusOr<uint64_t> removed = store_.DeleteUser(user_id, order.note);
  QLARANK_FAILPOINT("delete.before_forget");
  for (const auto& model : models_.models()) model->memory->Forget(user_id);
  if (removed.ok() && *removed > 0) metrics_.state.users_deleted.Increment();
  return removed;
}

}  // namespace qlarank

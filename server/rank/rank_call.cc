#include "server/rank/rank_call.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/models/load_engine.h"
#include "server/models/not_finite.h"
#include "server/rank/rank_order.h"

namespace qlarank {
namespace {

constexpr uint32_t kNotScored = UINT32_MAX;

StateDemand DemandOf(const RankPlan& plan) {
  return {plan.min_event_count, plan.max_events_behind, plan.max_state_age,
          plan.time_us};
}

}  // namespace

RankCall::RankCall(const v1::RankRequest& request, v1::RankResponse& response,
                   RankPlan plan, RankModelPtr model, Partitions& partitions,
                   TileScheduler& scheduler,
                   Metrics& metrics, const Context& context, RequestSlot slot,
                   const Copies& copies, Done done, ReplayBudget budget)
    : request_(request),
      response_(response),
      plan_(std::move(plan)),
      model_(std::move(model)),
      scheduler_(scheduler),
      metrics_(metrics),
      context_(context),
      unit_tiles_(TilesOfUnit(model_->tile_cost.mean())),
      slot_(std::move(slot)),
      copies_(copies),
      done_(std::move(done)),
      budget_(std::move(budget)),
      stage_begin_(context.arrival),
      outside_(context.arrival),
      reader_(*model_->memory, partitions, request.user_id(), DemandOf(plan_)) {}

absl::Time RankCall::Expiry() const {
  if (!request_.allow_partial()) return context_.deadline;
  // A tenth of the time is kept for encoding and the way back.
  const absl::Duration budget = context_.deadline - context_.arrival;
  return context_.deadline -
         std::clamp(budget / 10, absl::Milliseconds(1), absl::Milliseconds(20));
}

size_t RankCall::TilesOfUnit(absl::Duration tile_cost) {
  if (tile_cost <= absl::ZeroDuration()) return 1;
  return std::ceil(absl::FDivDuration(kLeastUnit, tile_cost));
}

void RankCall::Start() {
  metrics_.rank.queue_depth.Increment();
  const size_t tiles = NumTiles(request_);
  const size_t units = (tiles + unit_tiles_ - 1) / unit_tiles_;
  const auto unit_tiles = static_cast<int64_t>(std::min(unit_tiles_, tiles));
  scheduler_.Submit(shared_from_this(), units, context_.arrival, Expiry(),
                    model_->tile_cost.mean() * unit_tiles, context_.client);
}

void RankCall::Begin() {
  begun_ = true;
  metrics_.rank.queue_depth.Decrement();
  const absl::Time now = absl::Now();
  ObserveSeconds(metrics_.rank.queue_seconds, now - stage_begin_);
  stage_begin_ = now;
}

TileJob::Step RankCall::Prepare(size_t worker) {
  if (!begun_) Begin();
  if (cancelled()) return Step::kEnd;
  EngineScratch& scratch = *model_->worker_scratch[worker];
  reader_.Step(scratch);
  if (!reader_.done()) return HandOver() ? Step::kEnd : Step::kAgain;
  if (!reader_.status().ok()) return Step::kEnd;
  Read(scratch);
  BeginScoring();
  return Step::kReady;
}

bool RankCall::HandOver() {
  if (budget_.or_else == nullptr ||
      reader_.events_behind() <= budget_.max_events) {
    return false;
  }
  auto or_else = std::exchange(budget_.or_else, nullptr);
  instead_ = or_else(slot_, done_);
  if (instead_ == nullptr) return false;
  reader_.LeaveToOwner();
  model_->metrics->answered_by_version_before.Increment();
  return true;
}

void RankCall::Read(EngineScratch& scratch) {
  outside_.Enter(absl::Now());
  reading_ =
      model_->memory->Read(reader_.lookup().known, plan_.view(), scratch);
  outside_.Leave(absl::Now());
}

void RankCall::BeginScoring() {
  const absl::Time now = absl::Now();
  ObserveSeconds(metrics_.rank.state_load_seconds, now - stage_begin_);
  stage_begin_ = now;

  const size_t num_candidates = request_.item_ids_size();
  item_rows_.assign(num_candidates, kNotScored);
  response_.mutable_scores()->Resize(num_candidates * plan_.tasks.size(),
                                     std::numeric_limits<float>::quiet_NaN());
  scores_ = response_.mutable_scores()->mutable_data();
}

void RankCall::RunUnit(size_t unit, size_t worker) {
  constexpr size_t kRows = Engine::kTileRows;
  const size_t first = unit * unit_tiles_ * kRows;
  const size_t rows =
      std::min<size_t>(unit_tiles_ * kRows, request_.item_ids_size() - first);
  const bool measured = rows >= kRows && model_->tile_cost.Due();
  const absl::Duration processor_begin =
      measured ? scheduler_.clock().processor() : absl::ZeroDuration();
  outside_.Enter(absl::Now());
  size_t done = 0;
  for (; done < rows && !cancelled(); done += kRows) {
    ScoreTile(first + done, std::min(kRows, rows - done),
              *model_->worker_scratch[worker]);
  }
  done = std::min(done, rows);
  outside_.Leave(absl::Now());
  scored_.fetch_add(done, std::memory_order_relaxed);
  if (measured && done > 0) {
    model_->tile_cost.Observe(
        (scheduler_.clock().processor() - processor_begin) * kRows / done);
  }
}

void RankCall::ScoreTile(size_t first, size_t rows, EngineScratch& scratch) {
  model_->engine().catalogue().Rows({request_.item_ids().data() + first, rows},
                                    {item_rows_.data() + first, rows});
  const size_t num_features = model_->bundle().spec().candidate_features_size();
  const absl::Span<const uint32_t> item_rows(item_rows_.data() + first, rows);
  const absl::Span<const float> features(
      request_.candidate_features().data() + first * num_features,
      rows * num_features);

  const size_t num_tasks = plan_.tasks.size();
  const absl::Span<float> scores(scores_ + first * num_tasks, rows * num_tasks);
  model_->engine().Score(*reading_, item_rows, features, plan_.tasks, scores,
                       scratch);
  // Nobody may be shown them.
  if (!AllFinite(scores)) not_finite_.store(true, std::memory_order_relaxed);
}

void RankCall::Finish(size_t /*dropped*/, size_t /*worker*/) {
  if (!begun_) metrics_.rank.queue_depth.Decrement();
  if (instead_ != nullptr) return instead_->Start();
  absl::Status status = CheckScored();
  if (status.ok()) {
    Encode();
    Copy();
  }
  Reply(std::move(status));
  if (again_ != nullptr) copies_.shadow->Put(std::move(again_));
}

absl::Status RankCall::CheckScored() {
  if (reader_.done() && !reader_.status().ok()) return reader_.status();
  if (not_finite_.load(std::memory_order_relaxed)) {
    const absl::Status error = absl::InternalError(absl::StrCat(
        ModelLabel(model_->name(), model_->version()),
        " gives scores that are not finite: its weights overflow, or a product "
        "failed"));
    ReportNotFinite(error, metrics_.state.scores_not_finite);
    return error;
  }
  const size_t num_candidates = request_.item_ids_size();
  const size_t scored = scored_.load(std::memory_order_relaxed);
  // gRPC cancels a call at its deadline, too.
  if (cancelled() && absl::Now() < context_.deadline) {
    metrics_.rank.unscored_cancelled.Increment(num_candidates - scored);
    return absl::CancelledError("the caller cancelled");
  }
  metrics_.rank.unscored_deadline.Increment(num_candidates - scored);
  if (scored == 0) {
    return absl::DeadlineExceededError(
        "the deadline passed before a candidate was scored");
  }
  if (scored < num_candidates && !request_.allow_partial()) {
    return absl::DeadlineExceededError(
        absl::StrCat("the deadline passed with ", scored, " of ",
                     num_candidates, " candidates scored"));
  }
  return absl::OkStatus();
}

void RankCall::Encode() {
  const absl::Time begin = absl::Now();
  ObserveSeconds(metrics_.rank.score_seconds, begin - stage_begin_);
  const size_t num_candidates = request_.item_ids_size();
  for (size_t c = 0; c < num_candidates; ++c) {
    if (item_rows_[c] == Bundle::kOutOfVocabularyRow) {
      response_.add_unknown_items(c);
    }
  }
  metrics_.rank.unknown_items.Increment(response_.unknown_items_size());
  EncodeRemoved();
  if (plan_.top_k > 0) {
    const std::vector<uint32_t> order =
        TopByValue(response_.scores(), plan_.value_weights, plan_.top_k,
                   response_.removed_items());
    response_.mutable_order()->Assign(order.begin(), order.end());
  }
  for (const uint32_t task : plan_.tasks) {
    response_.add_tasks(model_->bundle().spec().tasks(task).name());
  }
  response_.set_model_name(model_->name());
  response_.set_model_version(model_->version());
  *response_.mutable_state() = DescribeState(reader_.lookup());
  const size_t scored = scored_.load(std::memory_order_relaxed);
  response_.set_scored_fraction(static_cast<double>(scored) / num_candidates);
  if (scored < num_candidates) EncodeStatuses();
  response_.set_request_id(request_.request_id());
  response_.set_answered_by_version_before(is_version_before_);
  const absl::Time end = absl::Now();
  ObserveSeconds(metrics_.rank.encode_seconds, end - begin);
  ObserveSeconds(metrics_.rank.outside_seconds, outside_.Total(end));
}

void RankCall::EncodeRemoved() {
  const Catalogue& catalogue = model_->engine().catalogue();
  if (!catalogue.any_removed()) return;
  for (size_t c = 0; c < item_rows_.size(); ++c) {
    if (item_rows_[c] != kNotScored && catalogue.IsRemoved(item_rows_[c])) {
      response_.add_removed_items(c);
    }
  }
}

void RankCall::EncodeStatuses() {
  auto& statuses = *response_.mutable_candidate_status();
  statuses.Reserve(static_cast<int>(item_rows_.size()));
  for (const uint32_t row : item_rows_) {
    statuses.AddAlreadyReserved(row == kNotScored
                                    ? v1::CANDIDATE_STATUS_DEADLINE_EXCEEDED
                                    : v1::CANDIDATE_STATUS_SCORED);
  }
}

void RankCall::Copy() {
  const bool logged = copies_.log != nullptr &&
                      copies_.log->Samples(request_, plan_.time_us);
  if (plan_.shadow_version != 0) {
    again_ = copies_.shadow->Copy(Facts(), request_, response_,
                                  plan_.shadow_version);
  }
  if (logged) copies_.log->Offer(Facts(), request_, response_);
}

v1::LoggedRequest RankCall::Facts() const {
  const model::v1::ModelSpec& spec = model_->bundle().spec();
  v1::LoggedRequest facts;
  facts.set_arrival_us(absl::ToUnixMicros(context_.arrival));
  facts.set_request_time_us(plan_.time_us);
  facts.set_fingerprint(model_->bundle().fingerprint());
  facts.set_incarnation(reader_.lookup().known.incarnation);
  *facts.mutable_candidate_features() = spec.candidate_features();
  *facts.mutable_event_features() = spec.event_features();
  for (const std::vector<float>& features : plan_.recent_features) {
    facts.mutable_recent_features()->Add(features.begin(), features.end());
  }
  facts.mutable_value_weights()->Assign(plan_.value_weights.begin(),
                                        plan_.value_weights.end());
  facts.set_default_action(plan_.default_action);
  return facts;
}

void RankCall::Reply(absl::Status status) {
  RankMetrics& rank = metrics_.rank;
  rank.candidates.Observe(request_.item_ids_size());
  if (reader_.done() && reader_.status().ok() &&
      reader_.lookup().known.state->found()) {
    ObserveSeconds(
        metrics_.state.age_seconds,
        absl::Microseconds(plan_.time_us -
                           reader_.lookup().newest_event_time_us()));
  }
  model_->metrics->requests.Increment(status.code());
  ObserveSeconds(model_->metrics->duration_seconds,
                 absl::Now() - context_.arrival);
  if (!status.ok()) response_.Clear();
  done_(std::move(status), std::move(slot_));
}

}  // namespace qlarank

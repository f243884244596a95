// One Rank request on its way through the workers: its state first, then its
// tiles, then the reply.
//
//   queue -> state_load (StateReader, step by step) -> Read -> score (a tile
//   each) -> encode -> done
//
// All of it is one job of the scheduler, whose preparation ends with Read. A
// unit of it is a tile, or where tiles are cheap as many as are worth a turn of
// a worker; only units run side by side. They write to separate parts of the
// response and to atomics.
#ifndef QLARANK_SERVER_RANK_RANK_CALL_H_
#define QLARANK_SERVER_RANK_RANK_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/metrics/metrics.h"
#include "server/rank/outside_clock.h"
#include "server/rank/rank_models.h"
#include "server/rank/rank_plan.h"
#include "server/rank/request_slot.h"
#include "server/rank/shadow_queue.h"
#include "server/rank/state_reader.h"
#include "server/request_log/request_log.h"
#include "server/work/tile_scheduler.h"

namespace qlarank {

class RankCall final : public TileJob,
                       public std::enable_shared_from_this<RankCall> {
 public:
  // Runs once, on a worker. After it the response is the caller's again. The
  // slot is to be kept until the reply is on its way.
  using Done = absl::AnyInvocable<void(absl::Status, RequestSlot)>;

  // Set by any thread when nobody waits for the reply any more: tiles not begun
  // are not scored, and `done` gets CANCELLED, or DEADLINE_EXCEEDED when that
  // is why nobody waits. TileScheduler::NoticeCancellation makes it happen at
  // the next tile.
  using CancelFlag = std::atomic<bool>;

  struct Context {
    absl::Time arrival;
    absl::Time deadline = absl::InfiniteFuture();
    const CancelFlag* cancelled = nullptr;  // null: never
    std::string client;                     // whose share it is served from
  };

  // What becomes of a user of whom more events than `max_events` would have to
  // be folded first.
  struct ReplayBudget {
    uint64_t max_events = 0;
    // Asked once, on a worker: a call that was not started, which answers in
    // place of this one and has its slot and `done`; or null, and this one folds
    // them. Null: nobody else can.
    absl::AnyInvocable<std::shared_ptr<RankCall>(RequestSlot& slot,
                                                 Done& done)>
        or_else = nullptr;
  };

  // Where requests go, in copies, that were answered.
  struct Copies {
    RequestLog* log = nullptr;  // null: there is none
    ShadowQueue* shadow = nullptr;  // null: no plan has a shadow_version
  };

  // Request, response and cancel flag must live until `done` is called.
  RankCall(const v1::RankRequest& request, v1::RankResponse& response,
           RankPlan plan, RankModelPtr model, Partitions& partitions,
           TileScheduler& scheduler,
           Metrics& metrics, const Context& context, RequestSlot slot,
           const Copies& copies, Done done, ReplayBudget budget);

  void Start();
  // The reply is to say that another version would have answered
  // (version_before.h). Before Start.
  void AnswersAsVersionBefore() { is_version_before_ = true; }

  // A unit's tiles take at least so long together: a worker's turn has a price,
  // and to wake up another worker takes about as much as this.
  static constexpr absl::Duration kLeastUnit = absl::Microseconds(50);

  static size_t NumTiles(const v1::RankRequest& request) {
    return (request.item_ids_size() + Engine::kTileRows - 1) /
           Engine::kTileRows;
  }
  // How many tiles a unit is where one costs `tile_cost`; 1 while that is not
  // known.
  static size_t TilesOfUnit(absl::Duration tile_cost);

  // The state.
  Step Prepare(size_t worker) override;
  // Some tiles.
  void RunUnit(size_t unit, size_t worker) override;
  void Finish(size_t dropped, size_t worker) override;
  bool cancelled() const override {
    return context_.cancelled != nullptr &&
           context_.cancelled->load(std::memory_order_relaxed);
  }

 private:
  // A caller who accepts a partial reply wants it before the deadline.
  absl::Time Expiry() const;
  void Begin();
  // Whether another call answers instead, for what is to be folded.
  bool HandOver();
  void Read(EngineScratch& scratch);
  void BeginScoring();
  void ScoreTile(size_t first, size_t rows, EngineScratch& scratch);
  // Whether what was scored is an answer. Counts what was not.
  absl::Status CheckScored();
  void Encode();
  // Says which candidates were removed; of those that were scored.
  void EncodeRemoved();
  // For a partial reply: what became of each candidate.
  void EncodeStatuses();
  // Offers what was asked and answered to the request log, if it is in its
  // sample, and copies it for who scores it again.
  void Copy();
  v1::LoggedRequest Facts() const;
  void Reply(absl::Status status);

  const v1::RankRequest& request_;
  v1::RankResponse& response_;
  const RankPlan plan_;
  const RankModelPtr model_;
  TileScheduler& scheduler_;
  Metrics& metrics_;
  const Context context_;
  const size_t unit_tiles_;
  RequestSlot slot_;
  const Copies copies_;
  ShadowQueue::TaskPtr again_;
  Done done_;
  ReplayBudget budget_;
  std::shared_ptr<RankCall> instead_;  // answers, where it is not null
  bool is_version_before_ = false;

  absl::Time stage_begin_;
  OutsideClock outside_;
  bool begun_ = false;
  StateReader reader_;
  std::shared_ptr<const Reading> reading_;
  // Parallel to item_ids; kNotScored until its tile has run.
  std::vector<uint32_t> item_rows_;
  float* scores_ = nullptr;  // [candidates, tasks], in the response
  std::atomic<size_t> scored_{0};
  std::atomic<bool> not_finite_{false};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_CALL_H_

#include "cli/rank_all.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "cli/in_flight.h"

namespace qlarank {
namespace {

// Of `request` for a job.
void Fill(const RankJob& job, v1::RankRequest& request) {
  request.set_user_id(job.user);
  request.set_top_k(job.top_k);
  *request.mutable_request_time() = job.time;
  FillContext(job.context, request);
}

}  // namespace

void FillContext(const EventContext& context, v1::RankRequest& request) {
  request.mutable_context()->clear();
  for (const auto& [name, value] : context) {
    if (value.empty()) continue;  // not named: its default counts
    (*request.mutable_context())[name] = value;
  }
}

absl::Status RankAll(const Client& client, const v1::RankRequest& request,
                     size_t in_flight,
                     absl::FunctionRef<absl::Status(RankJob&)> take,
                     std::vector<RankJob>& jobs, Progress& progress) {
  // Candidates are many: a thread has them once.
  std::vector<v1::RankRequest> requests(std::max<size_t>(1, in_flight),
                                        request);
  absl::Mutex mutex;  // of what follows an answer
  uint64_t done = 0;
  return CallInFlight(jobs.size(), in_flight, [&](size_t at, size_t thread) {
    RankJob& job = jobs[at];
    Fill(job, requests[thread]);
    absl::StatusOr<Ranking> ranking =
        RankTopUpToDate(client, requests[thread]);
    if (!ranking.ok()) return ranking.status();
    absl::MutexLock lock(&mutex);
    job.ranking = *std::move(ranking);
    job.ranking.response.clear_scores();
    job.ranking.response.clear_order();
    absl::Status taken = take(job);
    ++done;
    progress.Update(static_cast<double>(done) / jobs.size(), done);
    return taken;
  });
}

}  // namespace qlarank

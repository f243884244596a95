#include "cli/rank_all.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {
namespace {

class Workers {
 public:
  Workers(const Client& client,
          absl::FunctionRef<absl::Status(RankJob&)> take,
          std::vector<RankJob>& jobs, Progress& progress)
      : client_(client), take_(take), jobs_(jobs), progress_(progress) {}

  // Until no job is left; `request` is this thread's own.
  void Work(v1::RankRequest request) {
    while (RankJob* job = Next()) {
      request.set_user_id(job->user);
      request.set_top_k(job->top_k);
      *request.mutable_request_time() = job->time;
      request.mutable_context()->clear();
      for (const auto& [name, value] : job->context) {
        if (value.empty()) continue;  // not named: its default counts
        (*request.mutable_context())[name] = value;
      }
      Finish(*job, RankTopUpToDate(client_, request));
    }
  }

  absl::Status error() const {
    absl::MutexLock lock(&mutex_);
    return error_;
  }

 private:
  RankJob* Next() {
    absl::MutexLock lock(&mutex_);
    bool more = error_.ok() && next_ < jobs_.size();
    return more ? &jobs_[next_++] : nullptr;
  }

  void Finish(RankJob& job, absl::StatusOr<Ranking> ranking) {
    absl::MutexLock lock(&mutex_);
    if (!ranking.ok()) {
      error_.Update(ranking.status());
      return;
    }
    job.ranking = *std::move(ranking);
    job.ranking.response.clear_scores();
    job.ranking.response.clear_order();
    error_.Update(take_(job));
    ++done_;
    progress_.Update(static_cast<double>(done_) / jobs_.size(), done_);
  }

  const Client& client_;
  absl::FunctionRef<absl::Status(RankJob&)> take_;
  std::vector<RankJob>& jobs_;
  Progress& progress_ ABSL_GUARDED_BY(mutex_);
  mutable absl::Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::Status RankAll(const Client& client, const v1::RankRequest& request,
                     size_t in_flight,
                     absl::FunctionRef<absl::Status(RankJob&)> take,
                     std::vector<RankJob>& jobs, Progress& progress) {
  Workers workers(client, take, jobs, progress);
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < std::max<size_t>(1, in_flight); ++t) {
    threads.emplace_back([&] { workers.Work(request); });
  }
  threads.clear();  // joins
  return workers.error();
}

}  // namespace qlarank

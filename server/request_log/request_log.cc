#include "server/request_log/request_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// Files are closed and removed for their age within so long.
constexpr absl::Duration kTendInterval = absl::Seconds(10);
// Between attempts after a fault.
constexpr absl::Duration kRetryInterval = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<RequestLog>> RequestLog::Open(
    const RequestLogOptions& options, RequestLogMetrics& metrics,
    WasErased was_erased, Clock clock) {
  auto folder = LogFolder::Open(
      options.path,
      {options.max_file_bytes, options.max_bytes, options.max_age});
  if (!folder.ok()) {
    return absl::Status(
        folder.status().code(),
        absl::StrCat("request_log.path: ", folder.status().message()));
  }
  return std::unique_ptr<RequestLog>(
      new RequestLog(options, metrics, *std::move(folder),
                     std::move(was_erased), std::move(clock)));
}

RequestLog::RequestLog(const RequestLogOptions& options,
                       RequestLogMetrics& metrics,
                       std::unique_ptr<LogFolder> folder, WasErased was_erased,
                       Clock clock)
    : sample_(options),
      max_queue_bytes_(options.max_queue_bytes),
      metrics_(metrics),
      clock_(std::move(clock)),
      folder_(std::move(folder)),
      pass_(was_erased == nullptr
                ? nullptr
                : new Pass{std::move(was_erased), {}, folder_->names(), {}}),
      thread_([this] { Loop(); }) {}

RequestLog::~RequestLog() {
  {
    absl::MutexLock lock(&mutex_);
    work_.stopping = true;
  }
  thread_.join();
}

void RequestLog::Offer(v1::LoggedRequest facts, const v1::RankRequest& request,
                       const v1::RankResponse& response) {
  const size_t bytes = facts.SpaceUsedLong() + request.SpaceUsedLong() +
                       response.SpaceUsedLong();
  if (queued_bytes_.fetch_add(bytes) + bytes > max_queue_bytes_) {
    queued_bytes_ -= bytes;
    metrics_.queue_full.Increment();
    return;
  }
  *facts.mutable_request() = request;
  *facts.mutable_response() = response;
  absl::MutexLock lock(&mutex_);
  work_.records.push_back({std::move(facts), bytes});
}

void RequestLog::Erase(std::string user_id, EraseDone done) {
  absl::MutexLock lock(&mutex_);
  work_.erasures.push_back({std::move(user_id), clock_(), std::move(done)});
  metrics_.erasures_pending.Increment();
}

RequestLog::Work RequestLog::Take(bool busy) {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return work_.stopping || !work_.records.empty() || !work_.erasures.empty();
  };
  absl::MutexLock lock(&mutex_);
  if (!busy) {
    mutex_.AwaitWithTimeout(absl::Condition(&ready), kTendInterval);
  }
  return std::exchange(work_, Work{{}, {}, work_.stopping});
}

void RequestLog::Loop() {
  bool stopping = false;
  while (!stopping || owes_answers()) {
    Work work = Take(pass_ != nullptr || !erasures_.empty());
    stopping = work.stopping;
    // Before what was offered before it.
    Remember(work.erasures);
    for (const Waiting& waiting : work.records) {
      Write(waiting);
      queued_bytes_ -= waiting.bytes;
    }
    std::move(work.erasures.begin(), work.erasures.end(),
              std::back_inserter(erasures_));
    if (pass_ == nullptr && !erasures_.empty()) {
      Begin(std::exchange(erasures_, {}));
    }
    if (pass_ != nullptr) GoOn();
    const absl::Status tended = folder_->Tend(clock_());
    if (!tended.ok()) Report(tended);
    ForgetOld();
    metrics_.file_bytes.Set(static_cast<double>(folder_->bytes()));
    metrics_.queue_bytes.Set(static_cast<double>(queued_bytes_));
  }
  folder_->CloseFile();
}

void RequestLog::Write(const Waiting& waiting) {
  const v1::LoggedRequest& record = waiting.record;
  const absl::Time now = clock_();
  const absl::Time arrival = absl::FromUnixMicros(record.arrival_us());
  const auto erased = erased_.find(record.request().user_id());
  if (erased != erased_.end() && arrival <= erased->second) {
    return metrics_.erased.Increment();
  }
  // In the future: the clock was set back, and tells nothing of its age.
  if (now - arrival > kMaxRequestAge || arrival > now) {
    return metrics_.late.Increment();
  }
  if (now < retry_time_) return metrics_.write_error.Increment();
  const std::string bytes = record.SerializeAsString();
  CountWrite(folder_->Append(bytes, now), bytes.size());
}

void RequestLog::CountWrite(const absl::Status& status, size_t bytes) {
  if (absl::IsOutOfRange(status)) return metrics_.too_large.Increment();
  Report(status);
  if (!status.ok()) {
    retry_time_ = clock_() + kRetryInterval;
    return metrics_.write_error.Increment();
  }
  metrics_.written.Increment();
  metrics_.written_bytes.Increment(static_cast<double>(bytes));
}

void RequestLog::Report(const absl::Status& status) {
  if (status.ok() == !faulty_) return;
  faulty_ = !status.ok();
  if (faulty_) {
    LogError("requests are not logged", {{"error", status}});
  } else {
    LogInfo("requests are logged again");
  }
}

void RequestLog::Remember(const std::vector<Erasure>& erasures) {
  for (const Erasure& erasure : erasures) {
    absl::Time& time = erased_[erasure.user_id];
    time = std::max(time, erasure.time);
  }
}

void RequestLog::ForgetOld() {
  const absl::Time before = clock_() - 2 * kMaxRequestAge;
  absl::erase_if(erased_,
                 [&](const auto& user) { return user.second < before; });
}

void RequestLog::Begin(std::vector<Erasure> erasures) {
  folder_->CloseFile();
  ErasedUsers users;
  for (const Erasure& erasure : erasures) {
    absl::Time& time = users[erasure.user_id];
    time = std::max(time, erasure.time);
  }
  auto was_erased = [users = std::move(users)](absl::string_view user_id,
                                               int64_t time_us) {
    const auto user = users.find(user_id);
    return user != users.end() &&
           absl::FromUnixMicros(time_us) <= user->second;
  };
  pass_.reset(new Pass{std::move(was_erased), std::move(erasures),
                       folder_->names(), {}});
}

void RequestLog::GoOn() {
  if (!pass_->files.empty()) {
    const auto unwanted = [this](absl::string_view bytes) {
      v1::LoggedRequest record;
      return !record.ParseFromArray(bytes.data(),
                                    static_cast<int>(bytes.size())) ||
             pass_->was_erased(record.request().user_id(),
                               record.arrival_us());
    };
    pass_->status.Update(folder_->Filter(pass_->files.back(), unwanted));
    pass_->files.pop_back();
    return;
  }
  const std::unique_ptr<Pass> ended = std::move(pass_);
  if (!ended->status.ok()) {
    LogError("requests of erased users are still logged",
             {{"error", ended->status}});
  }
  for (Erasure& erasure : ended->erasures) {
    if (erasure.done != nullptr) erasure.done(ended->status);
    metrics_.erasures_pending.Decrement();
  }
}

}  // namespace qlarank

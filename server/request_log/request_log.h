// The log of requests: whoever has answered a request offers it, and a thread
// writes it.
//
//   if (log.Samples(request, time_us)) log.Offer(facts, request, response);
//
// Offer copies, or drops and counts when too much waits; it never blocks on a
// disk, and no error of the log reaches a caller. What cannot be written is
// counted, and said once until something can be again.
//
// Erasure. Erase is called after the user's events are gone. It goes through
// all files and removes the requests that they made before; then its caller is
// told. A request that was under way meanwhile is not logged: who was erased is
// known for longer than kMaxRequestAge, and what took longer than that from its
// arrival to here is never logged. An erasure that a crash cut short is made up
// for when the log is opened, from what the store knows of erasures.
//
// Thread-safe.
#ifndef QLARANK_SERVER_REQUEST_LOG_REQUEST_LOG_H_
#define QLARANK_SERVER_REQUEST_LOG_REQUEST_LOG_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "config/server_options.h"
#include "qlarank/v1/request_log.pb.h"
#include "server/metrics/request_log_metrics.h"
#include "server/request_log/log_folder.h"
#include "server/request_log/request_sample.h"

namespace qlarank {

class RequestLog {
 public:
  // From a request's arrival to when it is written.
  static constexpr absl::Duration kMaxRequestAge = absl::Minutes(1);

  // Whether a user was erased at or after a time.
  using WasErased =
      std::function<bool(absl::string_view user_id, int64_t time_us)>;
  using EraseDone = absl::AnyInvocable<void(absl::Status)>;
  using Clock = std::function<absl::Time()>;

  // Opens the folder of the options (errors: LogFolder::Open's), begins to
  // remove requests of users of whom `was_erased` says so (null: of nobody),
  // and to write. The metrics must outlive the log.
  static absl::StatusOr<std::unique_ptr<RequestLog>> Open(
      const RequestLogOptions& options, RequestLogMetrics& metrics,
      WasErased was_erased, Clock clock = absl::Now);
  // Writes what was offered, and finishes erasures.
  ~RequestLog();

  // Whether the request is in the sample.
  bool Samples(const v1::RankRequest& request, int64_t request_time_us) const {
    return sample_.Has(request, request_time_us);
  }

  // Logs a request with its answer; `facts` is the rest of the record.
  void Offer(v1::LoggedRequest facts, const v1::RankRequest& request,
             const v1::RankResponse& response) ABSL_LOCKS_EXCLUDED(mutex_);

  // Removes all requests of a user that arrived before now. `done`, which may
  // be null, is called on the log's thread: UNAVAILABLE if they may still be
  // there.
  void Erase(std::string user_id, EraseDone done) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    v1::LoggedRequest record;
    size_t bytes;
  };
  struct Erasure {
    std::string user_id;
    absl::Time time;
    EraseDone done;
  };
  // What the log's thread is to do next.
  struct Work {
    std::deque<Waiting> records;
    std::vector<Erasure> erasures;
    bool stopping = false;
  };
  using ErasedUsers = absl::flat_hash_map<std::string, absl::Time>;
  // A pass through all files.
  struct Pass {
    WasErased was_erased;
    std::vector<Erasure> erasures;  // to answer
    std::vector<std::string> files;  // that are left
    absl::Status status;
  };

  RequestLog(const RequestLogOptions& options, RequestLogMetrics& metrics,
             std::unique_ptr<LogFolder> folder, WasErased was_erased,
             Clock clock);

  void Loop();
  // Somebody waits for an erasure.
  bool owes_answers() const {
    return !erasures_.empty() ||
           (pass_ != nullptr && !pass_->erasures.empty());
  }
  // Waits for work, unless `busy`.
  Work Take(bool busy) ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(const Waiting& waiting);
  void CountWrite(const absl::Status& status, size_t bytes);
  void Report(const absl::Status& status);
  void Remember(const std::vector<Erasure>& erasures);
  void ForgetOld();

  void Begin(std::vector<Erasure> erasures);
  // One file, or the end.
  void GoOn();

  const RequestSample sample_;
  const size_t max_queue_bytes_;
  RequestLogMetrics& metrics_;
  const Clock clock_;
  std::atomic<size_t> queued_bytes_ = 0;

  absl::Mutex mutex_;
  Work work_ ABSL_GUARDED_BY(mutex_);

  // Used by the thread alone.
  std::unique_ptr<LogFolder> folder_;
  ErasedUsers erased_;             // of late
  std::vector<Erasure> erasures_;  // for the next pass
  std::unique_ptr<Pass> pass_;     // that is under way
  bool faulty_ = false;
  absl::Time retry_time_ = absl::InfinitePast();  // after a fault

  std::thread thread_;  // last: it uses what is above
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_REQUEST_LOG_REQUEST_LOG_H_

// A qlarank server as small as the command line's tests need, on a real socket
// with a free port.
//
// It keeps events in memory and counts each once, by the real server's rules
// for (source, sequence), marks and fences; an item's score for a user is how
// often they had it, recent events counted, and 10 more for each further task
// that is asked for. Faults can be asked for. Thread-safe.
#ifndef QLARANK_TESTS_CLI_FAKE_SERVER_H_
#define QLARANK_TESTS_CLI_FAKE_SERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "qlarank/v1/model_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"

namespace qlarank {

class FakeServer {
 public:
  // An event with this action is refused as invalid, for good.
  static constexpr char kBadAction[] = "bad";
  // Events of this user are refused for good: their log is damaged.
  static constexpr char kDamagedUser[] = "damaged";
  // A change of labels with this request id is refused: another has it.
  static constexpr char kTakenId[] = "taken";
  // A request of more is refused.
  static constexpr int kMaxRecentEvents = 3;

  struct Faults {
    // The stream ends with UNAVAILABLE after so many requests were taken in,
    // the last one without an acknowledgement; so many times.
    int break_after_requests = 0;
    int breaks = 0;
    // So many requests are refused with RESOURCE_EXHAUSTED, then taken.
    int refusals = 0;
    // So many events with the action "slow" are refused as not written, then
    // taken.
    int unwritten = 0;
    // So many events are taken, and their outcome is not told.
    int untold = 0;
  };

  FakeServer();
  ~FakeServer();

  const std::string& address() const { return address_; }
  void SetFaults(Faults faults);
  // Of the standard health service.
  void SetServing(bool serving);
  void Shutdown();

  // What users have, in order.
  std::vector<v1::UserEvent> EventsOf(const std::string& user) const;
  size_t num_events() const;
  v1::RankRequest last_rank() const;
  // All of them, in the order in which they came.
  std::vector<v1::RankRequest> ranks() const;
  // Through which a source is marked as complete; 0: not at all.
  uint64_t MarkOf(const std::string& source) const;
  // Requests of events that came in.
  int num_batches() const;

 private:
  struct User {
    std::vector<v1::UserEvent> events;
    std::map<std::string, uint64_t> watermarks;
    // By source: the sequence of the first event that was refused.
    std::map<std::string, uint64_t> fences;
  };
  class Ingest;
  class Ranker;
  class State;
  class Models;
  class ModelAdmin;
  class Admin;

  grpc::Status Append(const v1::AppendEventsRequest& request,
                      v1::AppendEventsResponse& response);
  v1::EventOutcome AppendOne(const v1::AppendEventsRequest& request, int index,
                             v1::AppendEventsResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::StateInfo InfoOf(const std::string& user) const;

  mutable absl::Mutex mutex_;
  std::map<std::string, User> users_ ABSL_GUARDED_BY(mutex_);
  Faults faults_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::RankRequest> ranks_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::MarkSourceRequest> marks_ ABSL_GUARDED_BY(mutex_);
  int num_batches_ ABSL_GUARDED_BY(mutex_) = 0;

  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Ranker> rank_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Models> models_;
  std::unique_ptr<ModelAdmin> model_admin_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_CLI_FAKE_SERVER_H_

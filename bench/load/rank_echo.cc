#include "bench/load/rank_echo.h"

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "qlarank/v1/rank_service.grpc.pb.h"

namespace qlarank::bench {
namespace {

// What our server answers for a user with a state, of one task.
v1::RankResponse Response(uint32_t candidates) {
  v1::RankResponse response;
  for (uint32_t i = 0; i < candidates; ++i) {
    response.add_scores(1.0f / static_cast<float>(1 + i));
  }
  response.add_tasks("click");
  response.set_model_name("random");
  response.set_model_version(1);
  response.set_scored_fraction(1);
  v1::StateInfo& state = *response.mutable_state();
  state.set_found(true);
  state.set_event_count(100);
  state.set_folded_sequence(100);
  state.set_log_sequence(100);
  state.mutable_last_event_time()->set_seconds(1'700'000'000);
  return response;
}

}  // namespace

// A thread that ends calls.
class RankEcho::Finisher {
 public:
  Finisher() : thread_([this] { Loop(); }) {}
  ~Finisher() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    thread_.join();
  }

  void Finish(grpc::ServerUnaryReactor* reactor) {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(reactor);
  }

 private:
  void Loop() {
    const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stopping_ || !waiting_.empty();
    };
    absl::MutexLock lock(&mutex_);
    while (true) {
      mutex_.Await(absl::Condition(&due));
      if (waiting_.empty()) return;
      grpc::ServerUnaryReactor* const reactor = waiting_.back();
      waiting_.pop_back();
      mutex_.Unlock();
      reactor->Finish(grpc::Status::OK);
      mutex_.Lock();
    }
  }

  absl::Mutex mutex_;
  std::vector<grpc::ServerUnaryReactor*> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

class RankEcho::Service final
    : public v1::RankService::WithRawCallbackMethod_Rank<
          v1::RankService::Service> {
 public:
  Service(uint32_t candidates, Answers answers)
      : reply_(Response(candidates).SerializeAsString()) {
    if (answers == Answers::kFromAnotherThread) finisher_.emplace();
  }

 private:
  grpc::ServerUnaryReactor* Rank(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer*,
                                 grpc::ByteBuffer* response) override {
    *response = grpc::ByteBuffer(&reply_, 1);  // shares the bytes
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (finisher_) {
      finisher_->Finish(reactor);
    } else {
      reactor->Finish(grpc::Status::OK);
    }
    return reactor;
  }

  const grpc::Slice reply_;
  std::optional<Finisher> finisher_;
};

RankEcho::RankEcho(uint32_t candidates, Answers answers)
    : service_(std::make_unique<Service>(candidates, answers)) {}

RankEcho::~RankEcho() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

absl::StatusOr<std::unique_ptr<RankEcho>> RankEcho::Start(uint32_t candidates,
                                                          Answers answers) {
  auto echo = absl::WrapUnique(new RankEcho(candidates, answers));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &echo->port_);
  builder.RegisterService(echo->service_.get());
  echo->server_ = builder.BuildAndStart();
  if (echo->server_ == nullptr || echo->port_ == 0) {
    return absl::UnavailableError("gRPC cannot listen at 127.0.0.1");
  }
  return echo;
}

}  // namespace qlarank::bench

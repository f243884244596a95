// The real pipeline over an in-memory store and the tiny model, for targets
// that are requests: what a server does with one, but for gRPC.
//
// One per process, never torn down. Used by one thread.
#ifndef QLARANK_TESTS_FUZZ_SMALL_SERVER_H_
#define QLARANK_TESTS_FUZZ_SMALL_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "qlarank/v1/model_service.pb.h"
#include "qlarank/v1/rank_service.pb.h"
#include "qlarank/v1/state_service.pb.h"
#include "server/pipeline.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::fuzz {

class SmallServer {
 public:
  // A user with a history of kHistory events, and its source.
  static constexpr char kUser[] = "u";
  static constexpr char kSource[] = "s";
  static constexpr uint64_t kHistory = 5;

  static SmallServer& Get();

  const Bundle& bundle() const { return engine().bundle(); }
  const Engine& engine() const {
    return *pipeline_->models().Current()->models()[0]->engine;
  }
  const StateStore& store() const { return *store_; }
  const ServerOptions& options() const { return options_; }

  // Each waits for the answer. The clock stands still at testing::kEpochUs and
  // there are no deadlines.
  absl::Status Rank(const v1::RankRequest& request,
                    v1::RankResponse& response);
  absl::StatusOr<v1::AppendEventsResponse> Append(
      const v1::AppendEventsRequest& request, IngestPipeline::OnFull on_full);
  absl::StatusOr<uint64_t> Delete(const std::string& user_id);
  absl::Status Ask(const v1::GetModelRequest& request,
                   v1::GetModelResponse& response);
  // Of a state or a summary.
  template <typename Request, typename Response>
  absl::Status Ask(const Request& request, Response& response);

  // Gives kUser their history, unless they have it.
  void RestoreHistory();

 private:
  SmallServer();

  testing::TempDir folder_;
  ServerOptions options_;
  Metrics metrics_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
};

// Whether a request may be refused like this: a code that its RPC documents,
// and for INVALID_ARGUMENT a field, its value and a rule.
void CheckRefusal(const absl::Status& status);

// Parses a message from the wire; false for what is none. Says nothing about
// it on stderr.
bool ParseMessage(const uint8_t* data, size_t size,
                  google::protobuf::Message& message);

}  // namespace qlarank::fuzz

#endif  // QLARANK_TESTS_FUZZ_SMALL_SERVER_H_

// A real server in this process, and clients that reach it over a socket.
#ifndef QLARANK_TESTS_INTEGRATION_TEST_SERVER_H_
#define QLARANK_TESTS_INTEGRATION_TEST_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "qlarank/v1/model_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "server/server.h"

namespace qlarank::testing {

class TestServer {
 public:
  // Dies when the server does not start.
  explicit TestServer(const ServerOptions& options);
  // Shuts down in order, unless that was done.
  ~TestServer();

  // Shuts down in order. Once; no method after it.
  absl::Status Shutdown();

  int grpc_port() const { return server_->grpc_port(); }
  int http_port() const { return server_->http_port(); }

  // The value of a metric; its labels, sorted, are part of its name. Dies when
  // there is none.
  double Metric(const std::string& name) const;
  // "host:port" for operators.
  std::string admin_address() const;

  v1::RankService::Stub& rank() { return *rank_; }
  v1::IngestService::Stub& ingest() { return *ingest_; }
  v1::StateService::Stub& state() { return *state_; }
  v1::ModelService::Stub& model() { return *model_; }
  // At the address for operators.
  v1::StateService::Stub& admin_state() { return *admin_state_; }
  v1::ModelAdminService::Stub& model_admin() { return *model_admin_; }
  v1::AdminService::Stub& admin() { return *admin_; }

  // One call each, with a deadline.
  absl::StatusOr<v1::RankResponse> Rank(
      const v1::RankRequest& request,
      absl::Duration timeout = absl::Seconds(60));
  absl::StatusOr<v1::AppendEventsResponse> Append(
      const v1::AppendEventsRequest& request);
  // Of the default model, caught up to `min_event_count`, with its bytes.
  absl::StatusOr<v1::GetUserStateResponse> GetState(const std::string& user_id,
                                                    uint64_t min_event_count);
  absl::StatusOr<v1::GetUserSummaryResponse> GetSummary(
      const v1::GetUserSummaryRequest& request);
  absl::StatusOr<v1::DeleteUserResponse> Delete(const std::string& user_id);

 private:
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<grpc::Channel> admin_channel_;
  std::unique_ptr<v1::RankService::Stub> rank_;
  std::unique_ptr<v1::IngestService::Stub> ingest_;
  std::unique_ptr<v1::StateService::Stub> state_;
  std::unique_ptr<v1::ModelService::Stub> model_;
  std::unique_ptr<v1::StateService::Stub> admin_state_;
  std::unique_ptr<v1::ModelAdminService::Stub> model_admin_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_INTEGRATION_TEST_SERVER_H_

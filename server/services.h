// What the server serves: the store, the models, the pipeline over them and the
// RPC services on top. Server owns one of these and knows no more of it than
// its life:
//
//   Create -> Register -> (requests) -> EndStreams -> (last request) -> Flush
#ifndef QLARANK_SERVER_SERVICES_H_
#define QLARANK_SERVER_SERVICES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/server_builder.h"
#include "server/ops/metrics.h"

namespace qlarank {

class Services {
 public:
  // Opens the store, loads the models, starts the workers. May take a while;
  // meanwhile the server is live and not ready. `metrics` must outlive this.
  static absl::StatusOr<std::unique_ptr<Services>> Create(
      const ServerOptions& options, Metrics& metrics);

  // Descriptors of the services, for health and for RpcMetrics.
  static std::vector<const google::protobuf::ServiceDescriptor*> Descriptors();

  ~Services();

  // Registers every RPC service. They live as long as this object, which must
  // outlive the server that is built.
  void Register(grpc::ServerBuilder& builder);

  // Ends the streams that would otherwise last as long as their clients like,
  // so that the server can stop. From any thread.
  void EndStreams();

  // After the last request: folds what waits, writes snapshots, syncs the
  // store.
  absl::Status Flush();

  // StateStore::Statistics(). From any thread.
  std::map<std::string, double> StoreStatistics() const;

 private:
  Services();
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SERVICES_H_

#include "server/services.h"

#include "qlarank/v1/ingest_service.pb.h"
#include "qlarank/v1/rank_service.pb.h"
#include "qlarank/v1/state_service.pb.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<Services>> Services::Create(const ServerOptions&,
                                                           Metrics&) {
  return std::unique_ptr<Services>(new Services());
}

std::vector<const google::protobuf::ServiceDescriptor*>
Services::Descriptors() {
  return {
      v1::RankRequest::descriptor()->file()->FindServiceByName("RankService"),
      v1::UserEvent::descriptor()->file()->FindServiceByName("IngestService"),
      v1::DeleteUserRequest::descriptor()->file()->FindServiceByName(
          "StateService")};
}

Services::Services() = default;

Services::~Services() = default;

void Services::Register(grpc::ServerBuilder&) {}

void Services::EndStreams() {}

absl::Status Services::Flush() { return absl::OkStatus(); }

std::map<std::string, double> Services::StoreStatistics() const { return {}; }

}  // namespace qlarank

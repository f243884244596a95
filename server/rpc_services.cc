#include "server/rpc_services.h"

#include <utility>

#include "server/ops/protobuf_log.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/ingest_service.h"
#include "server/rpc/model_admin_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/rank_service.h"
#include "server/rpc/state_service.h"

namespace qlarank {
namespace {

// nullptr when the listener serves nothing of it.
template <typename Api, typename Service, typename... Arguments>
std::unique_ptr<grpc::Service> Make(Listener listener,
                                    Arguments&&... arguments) {
  if (!ServesAnyOf(listener, Api::service_full_name())) return nullptr;
  return std::make_unique<Service>(listener,
                                   std::forward<Arguments>(arguments)...);
}

}  // namespace

RpcServices::RpcServices(Listener listener, Pipeline& pipeline,
                         const ServerOptions& options,
                         std::shared_ptr<const Authenticator> authenticator)
    : callers_(std::move(authenticator)),
      replies_(options.rank.reply_timeout) {
  RouteProtobufLog();  // what it says of a request, its caller is told
  services_.push_back(Make<v1::RankService, RankService>(
      listener, pipeline.rank(), drain_, replies_, callers_));
  services_.push_back(Make<v1::IngestService, IngestService>(
      listener, pipeline.ingest(), drain_, callers_,
      options.ingest.stream_window_bytes));
  services_.push_back(Make<v1::StateService, StateService>(
      listener, pipeline.state(), pipeline.ingest(), drain_, replies_,
      callers_));
  services_.push_back(Make<v1::ModelService, ModelService>(
      listener, pipeline.model(), drain_, replies_, callers_));
  services_.push_back(Make<v1::AdminService, AdminService>(
      listener, pipeline.admin(), pipeline.exports(), pipeline.info(), drain_,
      replies_));
  services_.push_back(Make<v1::ModelAdminService, ModelAdminService>(
      listener, pipeline.rollout(), pipeline.items(), drain_));
  std::erase(services_, nullptr);
}

}  // namespace qlarank

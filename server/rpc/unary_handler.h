// What gRPC calls for a unary method: gRPC's own handler, but that a request
// which cannot be parsed, or is not there, gets an answer that says so
// (request_parsing.h).
//
// Costs a valid request nothing: it is parsed once, by gRPC, to where the
// allocator says. Thread-safe.
#ifndef QLARANK_SERVER_RPC_UNARY_HANDLER_H_
#define QLARANK_SERVER_RPC_UNARY_HANDLER_H_

#include <functional>
#include <string>
#include <utility>

#include "grpcpp/impl/codegen/server_callback_handlers.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
#include "server/rpc/item_keys.h"
#include "server/rpc/request_parsing.h"

namespace qlarank {

template <typename Request, typename Response>
class UnaryHandler final : public grpc::internal::MethodHandler {
 public:
  using Serve = std::function<grpc::ServerUnaryReactor*(
      grpc::CallbackServerContext*, const Request*, Response*)>;

  // `messages` may be null and must otherwise outlive the server.
  UnaryHandler(std::string method, Serve serve,
               grpc::MessageAllocator<Request, Response>* messages)
      : method_(std::move(method)), handler_(std::move(serve)) {
    handler_.SetMessageAllocator(messages);
  }

  void* Deserialize(grpc_call* call, grpc_byte_buffer* bytes,
                    grpc::Status* status, void** messages) override {
    const ProtobufComplaints complaints;
    const bool missing = bytes == nullptr;
    void* request = handler_.Deserialize(call, bytes, status, messages);
    if (!status->ok()) {
      *status = missing ? MissingRequest(method_, call)
                        : UnparsableRequest(method_,
                                            Request::descriptor()->full_name(),
                                            complaints);
    } else {
      ResolveItemKeys(*static_cast<Request*>(request));
    }
    return request;
  }

  void RunHandler(const HandlerParameter& call) override {
    if (call.status.ok()) return handler_.RunHandler(call);
    const auto refuse = [&call](grpc::CallbackServerContext* context,
                                const Request*, Response*) {
      grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
      reactor->Finish(call.status);
      return reactor;
    };
    // It answers nothing but UNIMPLEMENTED where the status is not OK.
    Handler(refuse).RunHandler(
        HandlerParameter(call.call, call.server_context, call.request,
                         grpc::Status::OK, call.internal_data,
                         call.call_requester));
  }

 private:
  using Handler = grpc::internal::CallbackUnaryHandler<Request, Response>;

  const std::string method_;
  Handler handler_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_UNARY_HANDLER_H_

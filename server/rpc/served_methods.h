// A service of the API that a listener serves only in part: the methods that
// the access table gives to it. The others are not registered, so that their
// callers get UNIMPLEMENTED, with or without authentication.
//
//   class StateService final : public ServedMethods<v1::StateService> {
//    public:
//     explicit StateService(Listener listener) : ServedMethods(listener) {
//       ServeUnary("GetUserState", &StateService::GetUserState);
//     }
//
// A method that is not named so is served by gRPC's own handler, which has no
// word for requests that it cannot parse (request_parsing.h).
//
// REQUIRES: a service of which the listener serves a method.
#ifndef QLARANK_SERVER_RPC_SERVED_METHODS_H_
#define QLARANK_SERVER_RPC_SERVED_METHODS_H_

#include "google/protobuf/descriptor.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
#include "server/rpc/unary_handler.h"
#include "server/security/access_table.h"

namespace qlarank {

// The generated service by its descriptor: its methods in their order.
template <typename Api>
const google::protobuf::ServiceDescriptor& DescriptorOf() {
  return *google::protobuf::DescriptorPool::generated_pool()
              ->FindServiceByName(Api::service_full_name());
}

template <typename Api>
class ServedMethods : public Api::CallbackService {
 protected:
  explicit ServedMethods(Listener listener) : listener_(listener) {
    const auto& service = DescriptorOf<Api>();
    for (int i = 0; i < service.method_count(); ++i) {
      // gRPC's word for a method that it need not register.
      if (!IsServedOn(listener, service.full_name(),
                      service.method(i)->name())) {
        this->MarkMethodGeneric(i);
      }
    }
  }

  // Has `method` of the API served by `serve`, if the listener serves it.
  // `messages` must outlive the server.
  template <typename Service, typename Request, typename Response>
  void ServeUnary(const char* method,
                  grpc::ServerUnaryReactor* (Service::*serve)(
                      grpc::CallbackServerContext*, const Request*, Response*),
                  grpc::MessageAllocator<Request, Response>* messages =
                      nullptr) {
    if (!Serves(method)) return;
    auto* service = static_cast<Service*>(this);
    this->MarkMethodCallback(
        IndexOf(method),
        new UnaryHandler<Request, Response>(
            method,
            [service, serve](grpc::CallbackServerContext* context,
                             const Request* request, Response* response) {
              return (service->*serve)(context, request, response);
            },
            messages));
  }

  // The same of a stream, which parses its requests itself (ParseRequest).
  template <typename Service, typename Response>
  void ServeStream(
      const char* method,
      grpc::ServerBidiReactor<grpc::ByteBuffer, Response>* (Service::*serve)(
          grpc::CallbackServerContext*)) {
    if (!Serves(method)) return;
    auto* service = static_cast<Service*>(this);
    this->MarkMethodCallback(
        IndexOf(method),
        new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, Response>(
            [service, serve](grpc::CallbackServerContext* context) {
              return (service->*serve)(context);
            }));
  }

  // The same of a stream of replies to one request.
  template <typename Service, typename Response>
  void ServeReplies(
      const char* method,
      grpc::ServerWriteReactor<Response>* (Service::*serve)(
          grpc::CallbackServerContext*, const grpc::ByteBuffer*)) {
    if (!Serves(method)) return;
    auto* service = static_cast<Service*>(this);
    this->MarkMethodCallback(
        IndexOf(method),
        new grpc::internal::CallbackServerStreamingHandler<grpc::ByteBuffer,
                                                           Response>(
            [service, serve](grpc::CallbackServerContext* context,
                             const grpc::ByteBuffer* request) {
              return (service->*serve)(context, request);
            }));
  }

 private:
  bool Serves(const char* method) const {
    return IsServedOn(listener_, Api::service_full_name(), method);
  }
  static int IndexOf(const char* method) {
    return DescriptorOf<Api>().FindMethodByName(method)->index();
  }

  const Listener listener_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_SERVED_METHODS_H_

// A service of the API that a listener serves only in part: the methods that
// the access table gives to it. The others are not registered, so that their
// callers get UNIMPLEMENTED, with or without authentication.
//
//   class StateService final : public ServedMethods<v1::StateService> {
//    public:
//     explicit StateService(Listener listener) : ServedMethods(listener) {}
//
// REQUIRES: a service of which the listener serves a method.
#ifndef QLARANK_SERVER_RPC_SERVED_METHODS_H_
#define QLARANK_SERVER_RPC_SERVED_METHODS_H_

#include "google/protobuf/descriptor.h"
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
  explicit ServedMethods(Listener listener) {
    const auto& service = DescriptorOf<Api>();
    for (int i = 0; i < service.method_count(); ++i) {
      // gRPC's word for a method that it need not register.
      if (!IsServedOn(listener, service.full_name(),
                      service.method(i)->name())) {
        this->MarkMethodGeneric(i);
      }
    }
  }
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_SERVED_METHODS_H_

// What runs, for operators: the build, how the store is laid out and divided,
// and the models that are served now. Nothing of any user is in it.
//
// Thread-safe. Does not block: of the store it asks what was known when it was
// opened.
#ifndef QLARANK_SERVER_UPKEEP_SERVER_INFO_H_
#define QLARANK_SERVER_UPKEEP_SERVER_INFO_H_

#include <cstddef>

#include "qlarank/v1/admin_service.pb.h"
#include "server/catalogue/live_catalogue.h"
#include "server/models/model_registry.h"
#include "state_store/state_store.h"

namespace qlarank {

class ServerInfo {
 public:
  // All must outlive this.
  ServerInfo(const StateStore& store, const ModelRegistry& models,
             const LiveCatalogue& catalogue, size_t num_owners)
      : store_(store),
        models_(models),
        catalogue_(catalogue),
        num_owners_(num_owners) {}

  // As it is now.
  v1::GetServerInfoResponse Describe() const;

 private:
  const StateStore& store_;
  const ModelRegistry& models_;
  const LiveCatalogue& catalogue_;
  const size_t num_owners_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_SERVER_INFO_H_

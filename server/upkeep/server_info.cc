#include "server/upkeep/server_info.h"

#include <memory>
#include <string>

#include "server/metrics/version.h"
#include "server/models/model_description.h"

namespace qlarank {

v1::GetServerInfoResponse ServerInfo::Describe() const {
  v1::GetServerInfoResponse response;
  response.set_server_version(std::string(BuildVersion()));
  response.set_store_format(store_.format());
  response.set_num_partitions(store_.num_partitions());
  response.set_num_owners(static_cast<uint32_t>(num_owners_));
  const std::shared_ptr<const Registry> registry = models_.Current();
  for (const LoadedModelPtr& model : registry->models()) {
    *response.add_models() = DescribeModel(*model, *registry);
  }
  response.set_catalogue_version(catalogue_.version());
  for (const StatesSize& size : store_.MeasureStates()) {
    v1::StoredStates& states = *response.add_stored_states();
    states.set_state_fingerprint(size.fingerprint);
    states.set_users(size.users);
    states.set_bytes(size.bytes);
  }
  return response;
}

}  // namespace qlarank

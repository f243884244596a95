#include "server/upkeep/server_info.h"

#include <memory>
#include <string>

#include "model/precision.h"
#include "server/metrics/version.h"
#include "server/models/registry.h"

namespace qlarank {
namespace {

v1::ScoringPrecision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return v1::SCORING_PRECISION_F32;
    case Precision::kBf16:
      return v1::SCORING_PRECISION_BF16;
    case Precision::kInt8:
      return v1::SCORING_PRECISION_INT8;
  }
  return v1::SCORING_PRECISION_UNSPECIFIED;
}

void DescribeModel(const LoadedModel& model, v1::ServedModel& to) {
  to.set_name(model.name);
  to.set_version(model.version);
  to.set_state_fingerprint(model.engine->state_fingerprint());
  to.set_scoring_precision(ToProto(model.engine->precision()));
  to.set_state_bytes(model.engine->empty_state()->size_bytes());
}

}  // namespace

v1::GetServerInfoResponse ServerInfo::Describe() const {
  v1::GetServerInfoResponse response;
  response.set_server_version(std::string(BuildVersion()));
  response.set_store_format(store_.format());
  response.set_num_partitions(store_.num_partitions());
  response.set_num_owners(static_cast<uint32_t>(num_owners_));
  const std::shared_ptr<const Registry> registry = models_.Current();
  for (const LoadedModelPtr& model : registry->models()) {
    v1::ServedModel& to = *response.add_models();
    DescribeModel(*model, to);
    to.set_is_default(model == registry->default_model());
  }
  return response;
}

}  // namespace qlarank

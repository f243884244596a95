// What callers are told of a model: enough to ask it, nothing of where it lies
// or how it is built.
//
// Pure functions.
#ifndef QLARANK_SERVER_MODELS_MODEL_DESCRIPTION_H_
#define QLARANK_SERVER_MODELS_MODEL_DESCRIPTION_H_

#include "config/server_options.h"
#include "qlarank/v1/model_service.pb.h"
#include "server/models/registry.h"

namespace qlarank {

// All but its schema. REQUIRES: `model` is one of the registry's.
v1::Model DescribeModel(const LoadedModel& model, const Registry& registry);
v1::Model DescribeModel(const UnservedModel& model);

// The labels that move by themselves, in order of their names; with a version,
// only those that will point to it.
google::protobuf::RepeatedPtrField<v1::PendingLabel> DescribePending(
    const ModelLabels& labels, uint64_t version = 0);

// The names that requests use, and their order. Event features are those of the
// default model, whichever is described: requests have them in its order.
// REQUIRES: likewise.
v1::ModelSchema DescribeSchema(const LoadedModel& model,
                               const Registry& registry);

v1::RequestLimits DescribeLimits(const LimitsOptions& limits);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_MODEL_DESCRIPTION_H_

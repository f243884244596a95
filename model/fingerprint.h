// Names a model by all that shapes a state: docs/model.md section 6.
#ifndef QLARANK_MODEL_FINGERPRINT_H_
#define QLARANK_MODEL_FINGERPRINT_H_

#include <string>

#include "model/tensor_file.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// Lower-case hex SHA-256. Two bundles of one fingerprint make the same states.
// content: null where the model makes no rows of what is said of items.
// REQUIRES: spec and files passed ValidateSpec and ValidateTensors.
std::string ComputeFingerprint(const model::v1::ModelSpec& spec,
                               const TensorFile& weights,
                               const TensorFile& items,
                               const TensorFile* content = nullptr);

}  // namespace qlarank

#endif  // QLARANK_MODEL_FINGERPRINT_H_

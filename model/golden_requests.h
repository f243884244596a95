// The golden requests of a bundle, golden.textproto: made-up users, what is
// asked of them, and what the trainer's reference answers in float64
// (docs/model.md section 13). golden_replay.h asks an engine the same.
#ifndef QLARANK_MODEL_GOLDEN_REQUESTS_H_
#define QLARANK_MODEL_GOLDEN_REQUESTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "qlarank/model/v1/golden_requests.pb.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// Reads them and checks that they are requests of `spec`'s model, so that an
// engine can be asked. No cases where the spec names no such file, whether
// there is one or not.
//
// NOT_FOUND         the spec names the file, and it is missing
// DATA_LOSS         it is not the one that the spec names
// INVALID_ARGUMENT  it is for another model, or asks what no request can; names
//                   the case and the field
absl::StatusOr<model::v1::GoldenRequests> LoadGoldenRequests(
    const std::string& folder, const model::v1::ModelSpec& spec);

}  // namespace qlarank

#endif  // QLARANK_MODEL_GOLDEN_REQUESTS_H_

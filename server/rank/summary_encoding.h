// Summaries as the API returns them: as they are, or a byte a number.
#ifndef QLARANK_SERVER_RANK_SUMMARY_ENCODING_H_
#define QLARANK_SERVER_RANK_SUMMARY_ENCODING_H_

#include <cstddef>

#include "model/user_summary.h"
#include "qlarank/v1/state_service.pb.h"

namespace qlarank {

// Writes num_seeds, width and the values of [num_seeds, width] summaries.
// INT8 is symmetric: scale = the summary's largest magnitude / 127, bytes
// rounded to nearest, so that a value is wrong by half a scale at most.
// REQUIRES: `encoding` is a known value; unspecified is FLOAT32.
void EncodeSummary(const UserSummary& summary, size_t num_seeds,
                   v1::SummaryEncoding encoding,
                   v1::GetUserSummaryResponse& response);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_SUMMARY_ENCODING_H_

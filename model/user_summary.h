// A user's summaries: what a model's virtual seeds make of their state
// (docs/model.md section 8).
//
// Immutable once made by Engine::Summarize, a function of the model and the
// state alone: kept beside the state, shared by any threads.
#ifndef QLARANK_MODEL_USER_SUMMARY_H_
#define QLARANK_MODEL_USER_SUMMARY_H_

#include <cstddef>

#include "model/aligned_vector.h"

namespace qlarank {

struct UserSummary {
  AlignedVector<float> values;  // s, [num_seeds, d_model]

  // What attending candidates read, laid out as kernels::AttendSummaries takes
  // it; empty when the model's candidates do not attend.
  AlignedVector<float> head_keys;    // [num_heads, head_width, num_seeds]
  AlignedVector<float> head_values;  // [num_heads, num_seeds, head_width]

  // Memory that it takes, itself counted.
  size_t size_bytes() const {
    return sizeof(*this) +
           (values.capacity() + head_keys.capacity() + head_values.capacity()) *
               sizeof(float);
  }
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_USER_SUMMARY_H_

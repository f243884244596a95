// Where the parts of a user state lie in UserState::values: every layer's Z,
// then every convolution window.
#ifndef QLARANK_MODEL_STATE_LAYOUT_H_
#define QLARANK_MODEL_STATE_LAYOUT_H_

#include <cstddef>

#include "model/bundle_schema.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

class StateLayout {
 public:
  explicit StateLayout(const model::v1::ModelSpec& spec)
      : z_floats_(spec.d_model() / spec.num_heads() * spec.d_model()),
        window_floats_((spec.conv_width() - 1) * spec.d_model()),
        conv_layers_(spec.num_layers()),
        state_layers_(NumStateLayers(spec)) {}

  // Z of one layer: [num_heads, head_width (key), head_width (value)].
  size_t z(size_t layer) const { return layer * z_floats_; }
  size_t z_floats() const { return z_floats_; }
  // Window of one layer below num_layers: [conv_width - 1, d_model], newest
  // event first.
  size_t window(size_t layer) const {
    return state_layers_ * z_floats_ + layer * window_floats_;
  }
  size_t window_floats() const { return window_floats_; }
  // All of it.
  size_t floats() const {
    return state_layers_ * z_floats_ + conv_layers_ * window_floats_;
  }

 private:
  size_t z_floats_;
  size_t window_floats_;
  size_t conv_layers_;
  size_t state_layers_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_STATE_LAYOUT_H_

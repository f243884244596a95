#include "model/int8_matrix.h"

#include <vector>

#include "model/precision_kernels.h"

namespace qlarank {
namespace {

using kernels::kInt8BlockChannels;
using kernels::kInt8GroupInputs;

size_t WholeBlocks(size_t channels) {
  return (channels + kInt8BlockChannels - 1) / kInt8BlockChannels *
         kInt8BlockChannels;
}

}  // namespace

Int8Matrix::Int8Matrix(absl::Span<const float> weights, size_t out, size_t in,
                       const kernels::Int8Kernels& kernels)
    : kernels_(kernels),
      out_(out),
      in_(in),
      packed_(WholeBlocks(out) * in),
      scales_(WholeBlocks(out)),
      zero_share_(WholeBlocks(out)) {
  std::vector<uint8_t> shifted(out * in);
  kernels::QuantizeRows(weights.data(), out, in, kernels.weight_levels,
                        shifted.data(), scales_.data());
  for (size_t channel = 0; channel < out; ++channel) {
    const size_t block = channel / kInt8BlockChannels;
    const size_t in_block = channel % kInt8BlockChannels;
    for (size_t i = 0; i < in; ++i) {
      const int value = shifted[channel * in + i] - (kernels.weight_levels + 1);
      const size_t group = i / kInt8GroupInputs;
      const size_t at =
          ((block * (in / kInt8GroupInputs) + group) * kInt8BlockChannels +
           in_block) *
              kInt8GroupInputs +
          i % kInt8GroupInputs;
      packed_[at] = static_cast<int8_t>(value);
      zero_share_[channel] -= (kernels.input_levels + 1) * value;
    }
  }
}

}  // namespace qlarank

// Random weights of the compared models: the trunk's and every mechanism's
// own. Nothing is trained, for cost and leakage do not depend on values.
#ifndef QLARANK_BENCH_ATTENTION_PARAMETERS_H_
#define QLARANK_BENCH_ATTENTION_PARAMETERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/attention/shape.h"

namespace qlarank::bench::attention {

// Matrices are [out, in], row-major. Names as in docs/model.md section 3.
struct LayerParameters {
  std::vector<float> norm_attn;   // [d]
  std::vector<float> conv;        // [kConvWidth, d], row i = conv_i
  std::vector<float> projection;  // [4 d + extra outputs, d]: q, k, v, g, rest
  std::vector<float> norm_head;   // [d]
  std::vector<float> w_o;         // [d, d]
  std::vector<float> norm_ffn;    // [d]
  std::vector<float> w_12;        // [2 F, d]
  std::vector<float> w_3;         // [d, F]

  std::vector<float> alpha, beta;    // [H]: QLA and its kin; beta also others
  std::vector<float> decay_rate;     // [H], of QLA: lambda = exp(-rate)
  std::vector<float> gate_bias;      // [H]: of a decay gated by content
  std::vector<float> write_bias;     // [H]: of the delta rule's strength
  std::vector<float> position_bias;  // [H, kBiasBuckets]: softmax, HSTU
  std::vector<float> time_bias;      // [H, kBiasBuckets]: HSTU
};

// Virtual seeds and the attention to their summaries, docs/model.md section 8.
struct SeedParameters {
  std::vector<float> tokens;        // [kSeeds, d]: what enters the layers
  std::vector<float> norm_summary;  // [d]
  std::vector<float> norm_attn;     // [d]
  std::vector<float> w_q;           // [d, d]
  std::vector<float> w_kv;          // [2 d, d], rows k, v
  std::vector<float> w_o;           // [d, d]
};

struct Parameters {
  std::vector<LayerParameters> layers;  // kLayers
  SeedParameters seeds;
  std::vector<float> norm_score;  // [d]
  std::vector<float> w_score;  // [d]; score = <w_score, RMSNorm(x; norm_score)>
};

// `extra_outputs`: rows of the projection that a mechanism wants behind g.
Parameters RandomParameters(size_t extra_outputs, uint32_t seed);

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_PARAMETERS_H_

#include "bench/attention/parameters.h"

#include <cmath>
#include <random>

namespace qlarank::bench::attention {
namespace {

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  std::vector<float> Normal(size_t size, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(size);
    for (float& value : values) value = normal(random_);
    return values;
  }
  // Keeps activations near 1 through any number of layers.
  std::vector<float> Matrix(size_t out, size_t in) {
    return Normal(out * in, 0.0f, 1.0f / std::sqrt(static_cast<float>(in)));
  }
  std::vector<float> AroundOne(size_t size) { return Normal(size, 1.0f, 0.1f); }

 private:
  std::mt19937 random_;
};

// Rates of half-lives in events.
std::vector<float> DecayRates() {
  std::vector<float> rates;
  for (double half_life : {1.0, 4.0, 16.0, 1000.0}) {
    rates.push_back(static_cast<float>(std::log(2.0) / half_life));
  }
  static_assert(kHeads == 4);
  return rates;
}

// What makes a gate whose token says nothing decay at that rate:
// softplus(bias) = rate.
std::vector<float> GateBiases(std::vector<float> rates) {
  for (float& rate : rates) rate = std::log(std::expm1(rate));
  return rates;
}

}  // namespace

Parameters RandomParameters(size_t extra_outputs, uint32_t seed) {
  Generator generator(seed);
  Parameters parameters;
  for (size_t l = 0; l < kLayers; ++l) {
    LayerParameters& layer = parameters.layers.emplace_back();
    layer.norm_attn = generator.AroundOne(kWidth);
    layer.conv = generator.Normal(kConvWidth * kWidth, 0.0f,
                                  1.0f / std::sqrt(kConvWidth));
    layer.projection = generator.Matrix(4 * kWidth + extra_outputs, kWidth);
    layer.norm_head = generator.AroundOne(kWidth);
    layer.w_o = generator.Matrix(kWidth, kWidth);
    layer.norm_ffn = generator.AroundOne(kWidth);
    layer.w_12 = generator.Matrix(2 * kFfnWidth, kWidth);
    layer.w_3 = generator.Matrix(kWidth, kFfnWidth);
    layer.alpha = generator.AroundOne(kHeads);
    layer.beta = generator.AroundOne(kHeads);
    layer.decay_rate = DecayRates();
    layer.gate_bias = GateBiases(DecayRates());
    layer.write_bias = generator.Normal(kHeads, 0.0f, 0.5f);
    layer.position_bias = generator.Normal(kHeads * kBiasBuckets, 0.0f, 0.5f);
    layer.time_bias = generator.Normal(kHeads * kBiasBuckets, 0.0f, 0.5f);
  }
  SeedParameters& seeds = parameters.seeds;
  seeds.tokens = generator.Normal(kSeeds * kWidth, 0.0f, 1.0f);
  seeds.norm_summary = generator.AroundOne(kWidth);
  seeds.norm_attn = generator.AroundOne(kWidth);
  seeds.w_q = generator.Matrix(kWidth, kWidth);
  seeds.w_kv = generator.Matrix(2 * kWidth, kWidth);
  seeds.w_o = generator.Matrix(kWidth, kWidth);
  parameters.norm_score = generator.AroundOne(kWidth);
  parameters.w_score = generator.Matrix(1, kWidth);
  return parameters;
}

}  // namespace qlarank::bench::attention

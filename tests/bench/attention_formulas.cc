#include "tests/bench/attention_formulas.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace qlarank::bench::attention {

double Silu(double x) { return x / (1 + std::exp(-x)); }

namespace {

double EluPlusOne(double x) { return x > 0 ? x + 1 : std::exp(x); }
double Softplus(double x) { return std::log1p(std::exp(x)); }

size_t DistanceBucket(size_t x) {
  if (x < 16) return x;
  return std::min<size_t>(31, 16 + std::floor(2 * std::log2(x / 16.0)));
}

size_t TimeBucket(double seconds) {
  return 1 + std::min(30.0, std::floor(std::log2(1 + std::max(0.0, seconds))));
}

Vector NoWeights(const Head&, const Token&, const Keys& keys) {
  Vector weights(keys.size());
  weights.back() = 1;
  return weights;
}

double SoftmaxScore(const Head& head, const Token& token, const Token& key) {
  return head.Dot(token.q, key.k) / std::sqrt(kHeadWidth) +
         head.bias(head.layer.position_bias,
                   DistanceBucket(token.position - key.position));
}

Vector SoftmaxWhere(const Head& head, const Token& token, const Keys& keys,
                    const std::function<bool(const Token&)>& sees) {
  Vector weights;
  double sum = 0;
  for (const Token* key : keys) {
    weights.push_back(sees(*key) ? std::exp(SoftmaxScore(head, token, *key))
                                 : 0);
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

Vector SoftmaxWeights(const Head& head, const Token& token, const Keys& keys) {
  return SoftmaxWhere(head, token, keys, [](const Token&) { return true; });
}

Vector RecentWeights(const Head& head, const Token& token, const Keys& keys) {
  return SoftmaxWhere(head, token, keys, [&](const Token& key) {
    return token.position - key.position <= kRecent;
  });
}

Vector WindowWeights(const Head& head, const Token& token, const Keys& keys) {
  return SoftmaxWhere(head, token, keys, [&](const Token& key) {
    return token.position - key.position < kWindow || key.position < kGlobals;
  });
}

Vector HstuWeights(const Head& head, const Token& token, const Keys& keys) {
  Vector weights;
  for (const Token* key : keys) {
    const double score =
        SoftmaxScore(head, token, *key) +
        head.bias(head.layer.time_bias,
                  TimeBucket(std::floor(token.next_time - key->time)));
    weights.push_back(Silu(score) / keys.size());
  }
  return weights;
}

Vector LinearWeights(const Head& head, const Token& token, const Keys& keys) {
  Vector weights;
  double sum = 0;
  for (const Token* key : keys) {
    weights.push_back(head.Dot(token.q, key->k));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

Vector QlaWeights(const Head& head, const Token& token, const Keys& keys) {
  const double lambda = std::exp(-head.parameter(head.layer.decay_rate));
  Vector weights;
  double count = 0;
  for (const Token* key : keys) {
    if (key == &token) continue;
    const double decayed = std::pow(lambda, token.position - 1 - key->position);
    weights.push_back(decayed * head.Dot(token.q, key->k));
    count += decayed;
  }
  for (double& weight : weights) {
    weight *= head.parameter(head.layer.alpha) / std::max(count, 1.0);
  }
  weights.push_back(head.parameter(head.layer.beta) *
                    head.Dot(token.q, token.k));
  return weights;
}

Vector LogLinearWeights(const Head& head, const Token& token,
                        const Keys& keys) {
  Vector weights;
  for (const Token* key : keys) {
    double weight = head.parameter(head.layer.beta);
    if (key != &token) {
      const double level = std::floor(
          std::log2(static_cast<double>(token.position ^ key->position)));
      weight = Softplus(token.rest[head.index * kLevels + level]);
    }
    weights.push_back(weight * head.Dot(token.q, key->k));
  }
  return weights;
}

double Same(double x) { return x; }

}  // namespace

const std::map<std::string, Formula>& Formulas() {
  static const auto* const formulas = new std::map<std::string, Formula>{
      {"none", {Same, Same, NoWeights}},
      {"softmax", {Same, Same, SoftmaxWeights}},
      {"hstu", {Silu, Silu, HstuWeights}},
      {"sliding_window", {Same, Same, WindowWeights}},
      {"recent_softmax", {Same, Same, RecentWeights}},
      {"linear", {EluPlusOne, Same, LinearWeights}},
      {"qla", {Silu, Same, QlaWeights}},
      {"log_linear", {Silu, Same, LogLinearWeights}},
  };
  return *formulas;
}

}  // namespace qlarank::bench::attention

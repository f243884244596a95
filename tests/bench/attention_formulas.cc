#include "tests/bench/attention_formulas.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace qlarank::bench::attention {

double Silu(double x) { return x / (1 + std::exp(-x)); }

namespace {

double EluPlusOne(double x) { return x > 0 ? x + 1 : std::exp(x); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
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
    return token.position - key.position < kRecent;
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

Vector DecayedLinearWeights(const Head& head, const Token& token,
                            const Keys& keys) {
  const double rate = head.parameter(head.layer.decay_rate);
  Vector weights;
  double sum = 0;
  for (const Token* key : keys) {
    const double steps =
        key == &token ? 0.0 : token.position - 1 - key->position;
    weights.push_back(std::exp(-rate * steps) * head.Dot(token.q, key->k));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

double SelfWeight(const Head& head, const Token& token) {
  return head.parameter(head.layer.beta) * head.Dot(token.q, token.k);
}

Vector SelfWeights(const Head& head, const Token& token, const Keys& keys) {
  Vector weights(keys.size());
  weights.back() = SelfWeight(head, token);
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
  weights.push_back(SelfWeight(head, token));
  return weights;
}

// lambda of what an event leaves of those before it.
double Gate(const Head& head, const Token& event) {
  return std::exp(
      -Softplus(event.rest[head.index] + head.parameter(head.layer.gate_bias)));
}

Vector GatedWeights(const Head& head, const Token& token, const Keys& keys) {
  Vector weights(keys.size());
  double decayed = 1, count = 0;
  for (size_t j = keys.size() - 1; j-- > 0;) {
    weights[j] = decayed * head.Dot(token.q, keys[j]->k);
    count += decayed;
    decayed *= Gate(head, *keys[j]);
  }
  for (double& weight : weights) {
    weight *= head.parameter(head.layer.alpha) / std::max(count, 1.0);
  }
  weights.back() = SelfWeight(head, token);
  return weights;
}

// Of a head's columns alone, to length 1.
Vector Unit(const Head& head, const Vector& x) {
  const double norm = std::sqrt(head.Dot(x, x));
  Vector unit(x.size());
  for (size_t i = head.index * kHeadWidth; i < (head.index + 1) * kHeadWidth;
       ++i) {
    unit[i] = x[i] / norm;
  }
  return unit;
}

// S_n q = a_n S_{n-1} (I - b_n k_n k_n^T) q + b_n <k_n, q> v_n: the newest
// value is weighed by what q says of its key, all before it by what that leaves
// of q.
Vector GatedDeltaWeights(const Head& head, const Token& token,
                         const Keys& keys) {
  Vector weights(keys.size());
  Vector q = Unit(head, token.q);
  weights.back() =
      head.parameter(head.layer.beta) * head.Dot(q, Unit(head, token.k));
  for (size_t j = keys.size() - 1; j-- > 0;) {
    const Vector k = Unit(head, keys[j]->k);
    const double strength = Sigmoid(keys[j]->rest[kHeads + head.index] +
                                    head.parameter(head.layer.write_bias));
    const double gate = Gate(head, *keys[j]);
    weights[j] = strength * head.Dot(q, k);
    for (size_t i = 0; i < q.size(); ++i) {
      q[i] = gate * (q[i] - weights[j] * k[i]);
    }
  }
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
      {"decayed_linear", {EluPlusOne, Same, DecayedLinearWeights}},
      {"gated_delta", {Silu, Same, GatedDeltaWeights}},
      {"gated", {Silu, Same, GatedWeights}},
      {"seeds_only", {Silu, Same, QlaWeights, SelfWeights}},
      {"qla", {Silu, Same, QlaWeights}},
      {"log_linear", {Silu, Same, LogLinearWeights}},
  };
  return *formulas;
}

}  // namespace qlarank::bench::attention

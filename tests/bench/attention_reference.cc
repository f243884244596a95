#include "tests/bench/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace qlarank::bench::attention {
namespace {

using Vector = std::vector<double>;

// A token on its way through the layers.
struct Token {
  size_t position;  // among the events, from 0; of a candidate, their number
  double time, next_time;  // seconds
  Vector x;                // [d]
  Vector q, k, v, g, rest;
};

struct Head {
  const LayerParameters& layer;
  size_t index;

  double parameter(const std::vector<float>& of_heads) const {
    return of_heads[index];
  }
  double bias(const std::vector<float>& table, size_t bucket) const {
    return table[index * kBiasBuckets + bucket];
  }
  double Dot(const Vector& a, const Vector& b) const {
    double sum = 0;
    for (size_t i = index * kHeadWidth; i < (index + 1) * kHeadWidth; ++i) {
      sum += a[i] * b[i];
    }
    return sum;
  }
};

double Silu(double x) { return x / (1 + std::exp(-x)); }
double EluPlusOne(double x) { return x > 0 ? x + 1 : std::exp(x); }
double Softplus(double x) { return std::log1p(std::exp(x)); }

void Map(double (*f)(double), Vector& values) {
  for (double& value : values) value = f(value);
}

Vector RmsNorm(const Vector& x, const std::vector<float>& weight) {
  double squares = 0;
  for (double value : x) squares += value * value;
  Vector normed;
  for (size_t i = 0; i < x.size(); ++i) {
    normed.push_back(x[i] / std::sqrt(squares / x.size() + 1e-6) * weight[i]);
  }
  return normed;
}

Vector Multiply(const std::vector<float>& matrix, const Vector& x) {
  Vector y(matrix.size() / x.size());
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t i = 0; i < x.size(); ++i) {
      y[row] += matrix[row * x.size() + i] * x[i];
    }
  }
  return y;
}

size_t DistanceBucket(size_t x) {
  if (x < 16) return x;
  return std::min<size_t>(31, 16 + std::floor(2 * std::log2(x / 16.0)));
}

size_t TimeBucket(double seconds) {
  return 1 + std::min(30.0, std::floor(std::log2(1 + std::max(0.0, seconds))));
}

// ---- The mechanisms: the weight of each of `keys`, of which the last is the
// token itself.

using Keys = std::vector<const Token*>;

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
  const double lambda = head.parameter(head.layer.decay);
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

struct Formula {
  double (*qk)(double);  // applied to q and k
  double (*v)(double);   // applied to v
  Vector (*weights)(const Head&, const Token&, const Keys&);
};

double Same(double x) { return x; }

const std::map<std::string, Formula>& Formulas() {
  static const auto* const formulas = new std::map<std::string, Formula>{
      {"none", {Same, Same, NoWeights}},
      {"softmax", {Same, Same, SoftmaxWeights}},
      {"hstu", {Silu, Silu, HstuWeights}},
      {"sliding_window", {Same, Same, WindowWeights}},
      {"linear", {EluPlusOne, Same, LinearWeights}},
      {"qla", {Silu, Same, QlaWeights}},
      {"log_linear", {Silu, Same, LogLinearWeights}},
  };
  return *formulas;
}

// ---- The trunk.

void Project(const LayerParameters& layer, const Formula& formula,
             Token& token) {
  const Vector all =
      Multiply(layer.projection, RmsNorm(token.x, layer.norm_attn));
  const auto part = [&](size_t index) {
    return Vector(all.begin() + index * kWidth,
                  all.begin() + (index + 1) * kWidth);
  };
  token.q = part(0);
  token.k = part(1);
  token.v = part(2);
  token.g = part(3);
  token.rest = Vector(all.begin() + 4 * kWidth, all.end());
  Map(formula.qk, token.q);
  Map(formula.qk, token.k);
  Map(formula.v, token.v);
}

Vector Attend(const LayerParameters& layer, const Formula& formula,
              const Token& token, const Keys& keys) {
  Vector attended;
  for (size_t h = 0; h < kHeads; ++h) {
    const Vector weights = formula.weights({layer, h}, token, keys);
    Vector o(kHeadWidth);
    for (size_t j = 0; j < keys.size(); ++j) {
      for (size_t i = 0; i < kHeadWidth; ++i) {
        o[i] += weights[j] * keys[j]->v[h * kHeadWidth + i];
      }
    }
    const auto norm = layer.norm_head.begin() + h * kHeadWidth;
    o = RmsNorm(o, std::vector<float>(norm, norm + kHeadWidth));
    for (size_t i = 0; i < kHeadWidth; ++i) {
      attended.push_back(o[i] * Silu(token.g[h * kHeadWidth + i]));
    }
  }
  return attended;
}

void Add(const Vector& y, Vector& x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

void Finish(const LayerParameters& layer, const Vector& attended,
            Token& token) {
  Add(Multiply(layer.w_o, attended), token.x);
  const Vector pr = Multiply(layer.w_12, RmsNorm(token.x, layer.norm_ffn));
  Vector gated;
  for (size_t i = 0; i < kFfnWidth; ++i) {
    gated.push_back(pr[i] * Silu(pr[kFfnWidth + i]));
  }
  Add(Multiply(layer.w_3, gated), token.x);
}

void Forward(const LayerParameters& layer, const Formula& formula,
             size_t num_events, std::vector<Token>& tokens) {
  for (Token& token : tokens) Project(layer, formula, token);
  std::vector<Vector> attended;
  for (const Token& token : tokens) {
    Keys keys;
    for (size_t j = 0; j < std::min(num_events, token.position); ++j) {
      keys.push_back(&tokens[j]);
    }
    keys.push_back(&token);
    attended.push_back(Attend(layer, formula, token, keys));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    Finish(layer, attended[i], tokens[i]);
  }
}

std::vector<Token> MakeTokens(const Events& events,
                              absl::Span<const float> candidates,
                              int64_t request_time_us) {
  std::vector<Token> tokens;
  const auto add = [&](size_t position, const EventTime& time, const float* x) {
    tokens.push_back({position,
                      time.time_us / 1e6,
                      time.next_time_us / 1e6,
                      Vector(x, x + kWidth),
                      {},
                      {},
                      {},
                      {},
                      {}});
  };
  const size_t n = events.times.size();
  for (size_t i = 0; i < n; ++i) {
    add(i, events.times[i], events.tokens.data() + i * kWidth);
  }
  for (size_t c = 0; c < candidates.size() / kWidth; ++c) {
    add(n, {request_time_us, request_time_us}, candidates.data() + c * kWidth);
  }
  return tokens;
}

}  // namespace

ReferenceScores ScoreByBruteForce(const std::string& mechanism,
                                  const Parameters& parameters,
                                  const Events& events,
                                  absl::Span<const float> candidates,
                                  int64_t request_time_us) {
  const size_t n = events.times.size();
  std::vector<Token> tokens = MakeTokens(events, candidates, request_time_us);
  for (const LayerParameters& layer : parameters.layers) {
    Forward(layer, Formulas().at(mechanism), n, tokens);
  }
  ReferenceScores scores;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const double score = Multiply(
        parameters.w_score, RmsNorm(tokens[i].x, parameters.norm_score))[0];
    (i < n ? scores.events : scores.candidates).push_back(score);
  }
  return scores;
}

}  // namespace qlarank::bench::attention

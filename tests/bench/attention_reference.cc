#include "tests/bench/attention_reference.h"

#include <algorithm>
#include <cmath>

#include "tests/bench/attention_formulas.h"

namespace qlarank::bench::attention {
namespace {

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

// Whether a token is a candidate that reads nothing but itself and summaries.
bool ReadsSummariesAlone(const Formula& formula, const Token& token) {
  return formula.has_seeds() && token.role == Role::kCandidate;
}

// z = sum_i conv_i n_{-i}: n_0 is the token's own, n_{-i} that of the i-th
// event before it.
Vector Convolve(const LayerParameters& layer, const Formula& formula,
                const Token& token, const std::vector<Token>& tokens) {
  const size_t events =
      ReadsSummariesAlone(formula, token) ? 0 : token.position;
  Vector z(kWidth);
  for (size_t age = 0; age <= std::min(kConvWidth - 1, events); ++age) {
    const Vector& n = age == 0 ? token.n : tokens[token.position - age].n;
    for (size_t i = 0; i < kWidth; ++i) {
      z[i] += layer.conv[age * kWidth + i] * n[i];
    }
  }
  return z;
}

void Project(const LayerParameters& layer, const Formula& formula,
             const std::vector<Token>& tokens, Token& token) {
  const Vector all =
      Multiply(layer.projection, Convolve(layer, formula, token, tokens));
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
    const auto weigh = ReadsSummariesAlone(formula, token)
                           ? formula.candidate_weights
                           : formula.weights;
    const Vector weights = weigh({layer, h}, token, keys);
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
  for (Token& token : tokens) token.n = RmsNorm(token.x, layer.norm_attn);
  for (Token& token : tokens) Project(layer, formula, tokens, token);
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

Token MakeToken(Role role, size_t position, const EventTime& time,
                const float* x) {
  Token token;
  token.role = role;
  token.position = position;
  token.time = time.time_us / 1e6;
  token.next_time = time.next_time_us / 1e6;
  token.x.assign(x, x + kWidth);
  return token;
}

// Events first, then candidates, then seeds.
std::vector<Token> MakeTokens(const Events& events,
                              absl::Span<const float> candidates,
                              absl::Span<const float> seeds,
                              int64_t request_time_us) {
  std::vector<Token> tokens;
  const size_t n = events.times.size();
  for (size_t i = 0; i < n; ++i) {
    tokens.push_back(MakeToken(Role::kEvent, i, events.times[i],
                               events.tokens.data() + i * kWidth));
  }
  const EventTime now = {request_time_us, request_time_us};
  for (size_t i = 0; i < candidates.size(); i += kWidth) {
    tokens.push_back(
        MakeToken(Role::kCandidate, n, now, candidates.data() + i));
  }
  for (size_t i = 0; i < seeds.size(); i += kWidth) {
    tokens.push_back(MakeToken(Role::kSeed, n, now, seeds.data() + i));
  }
  return tokens;
}

// What candidates read of the seeds behind the last layer: docs/model.md
// section 8.
void AttendToSummaries(const SeedParameters& parameters,
                       std::vector<Token>& tokens) {
  std::vector<Vector> summaries;  // [k v]
  for (const Token& token : tokens) {
    if (token.role != Role::kSeed) continue;
    summaries.push_back(
        Multiply(parameters.w_kv, RmsNorm(token.x, parameters.norm_summary)));
  }
  for (Token& token : tokens) {
    if (token.role != Role::kCandidate) continue;
    const Vector q =
        Multiply(parameters.w_q, RmsNorm(token.x, parameters.norm_attn));
    Vector read(kWidth), total(kHeads);
    for (const Vector& kv : summaries) {
      for (size_t h = 0; h < kHeads; ++h) {
        double score = 0;
        for (size_t i = h * kHeadWidth; i < (h + 1) * kHeadWidth; ++i) {
          score += q[i] * kv[i];
        }
        const double weight = std::exp(score / std::sqrt(kHeadWidth));
        total[h] += weight;
        for (size_t i = h * kHeadWidth; i < (h + 1) * kHeadWidth; ++i) {
          read[i] += weight * kv[kWidth + i];
        }
      }
    }
    for (size_t i = 0; i < kWidth; ++i) read[i] /= total[i / kHeadWidth];
    Add(Multiply(parameters.w_o, read), token.x);
  }
}

}  // namespace

ReferenceScores ScoreByBruteForce(const std::string& mechanism,
                                  const Parameters& parameters,
                                  const Events& events,
                                  absl::Span<const float> candidates,
                                  int64_t request_time_us) {
  const Formula& formula = Formulas().at(mechanism);
  std::vector<Token> tokens = MakeTokens(
      events, candidates,
      formula.has_seeds() ? absl::MakeConstSpan(parameters.seeds.tokens)
                          : absl::Span<const float>(),
      request_time_us);
  for (const LayerParameters& layer : parameters.layers) {
    Forward(layer, formula, events.times.size(), tokens);
  }
  if (formula.has_seeds()) AttendToSummaries(parameters.seeds, tokens);
  ReferenceScores scores;
  for (const Token& token : tokens) {
    if (token.role == Role::kSeed) continue;
    const double score = Multiply(parameters.w_score,
                                  RmsNorm(token.x, parameters.norm_score))[0];
    (token.role == Role::kEvent ? scores.events : scores.candidates)
        .push_back(score);
  }
  return scores;
}

}  // namespace qlarank::bench::attention

// The compared mechanisms as they are defined: a token's weight on every
// earlier token and on itself, in float64. docs/attention.md has the formulas.
#ifndef QLARANK_TESTS_BENCH_ATTENTION_FORMULAS_H_
#define QLARANK_TESTS_BENCH_ATTENTION_FORMULAS_H_

#include <map>
#include <string>
#include <vector>

#include "bench/attention/parameters.h"

namespace qlarank::bench::attention {

using Vector = std::vector<double>;

enum class Role { kEvent, kCandidate, kSeed };

// A token on its way through the layers.
struct Token {
  Role role;
  size_t position;         // among the events, from 0; of others, their number
  double time, next_time;  // seconds
  Vector x;                // [d]
  Vector n;                // the same, normalised
  Vector q, k, v, g, rest;
};

// The tokens that one reads, oldest first; the last is itself.
using Keys = std::vector<const Token*>;

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

// The head's output is the sum of weights[j] v_j over the keys.
struct Formula {
  bool has_seeds() const { return candidate_weights != nullptr; }

  double (*qk)(double);  // applied to q and k
  double (*v)(double);   // applied to v
  Vector (*weights)(const Head&, const Token&, const Keys&);
  // Of candidates, where they read otherwise than events and seeds: then they
  // attend to summaries behind the last layer.
  Vector (*candidate_weights)(const Head&, const Token&, const Keys&) = nullptr;
};

// By name of AllMechanisms.
const std::map<std::string, Formula>& Formulas();

double Silu(double x);

}  // namespace qlarank::bench::attention

#endif  // QLARANK_TESTS_BENCH_ATTENTION_FORMULAS_H_

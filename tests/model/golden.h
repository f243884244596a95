// Reads tests/golden: small models with histories, requests and the scores that
// the float64 reference gave (tests/golden/README.md).
#ifndef QLARANK_TESTS_MODEL_GOLDEN_H_
#define QLARANK_TESTS_MODEL_GOLDEN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/bundle.h"
#include "model/engine.h"

namespace qlarank::testing {

// Events that own their features.
class GoldenEvents {
 public:
  void Add(ModelEvent event, std::vector<float> features);
  size_t size() const { return events_.size(); }
  // The first n; n <= size().
  std::vector<ModelEvent> First(size_t n) const;

 private:
  std::vector<ModelEvent> events_;
  std::vector<std::vector<float>> features_;
};

struct GoldenCase {
  std::string name;
  std::string history;
  size_t num_events = 0;

  int64_t request_time_us = 0;
  GoldenEvents recent_events;
  std::vector<uint32_t> context_rows;
  std::vector<uint32_t> item_rows;
  std::vector<float> candidate_features;

  std::vector<double> user_vector;  // [d_model]
  std::vector<double> scores;       // [candidates, tasks]
  std::vector<double> state;        // UserState::values, or empty
  std::vector<double> summaries;    // [num_seeds, d_model], or empty
};

// What is said of an item to come, and the row that is made of it.
struct GoldenContent {
  ItemContent content;
  std::vector<double> embedding;  // [d_model]
  double bias = 0;
};

struct GoldenModel {
  std::shared_ptr<const Bundle> bundle;
  std::shared_ptr<const Engine> engine;
  std::map<std::string, GoldenEvents> histories;
  std::vector<GoldenCase> cases;
  std::vector<GoldenContent> contents;
};

// The folders of tests/golden.
std::vector<std::string> GoldenModelNames();

// With an engine of these options. Dies if the folder cannot be read.
GoldenModel LoadGoldenModel(const std::string& name,
                            const Engine::Options& options);
GoldenModel LoadGoldenModel(const std::string& name,
                            Precision precision = Precision::kF32);

// The folder of one golden model's bundle.
std::string GoldenBundleFolder(const std::string& name);

// Folds the first `num_events` of a history in one call.
std::shared_ptr<const UserState> FoldHistory(const GoldenModel& model,
                                             const std::string& history,
                                             size_t num_events);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_MODEL_GOLDEN_H_

// The golden model that has everything, with other names for its three actions
// and its three event features: view, buy, skip; price, rating, dwell.
#ifndef QLARANK_TESTS_TESTING_RENAMED_MODEL_H_
#define QLARANK_TESTS_TESTING_RENAMED_MODEL_H_

#include <string>
#include <vector>

#include "tests/model/bundle_copy.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

class RenamedModel : public BundleCopy {
 public:
  using Names = std::vector<std::string>;

  RenamedModel(const std::string& name, const Names& actions,
               const Names& event_features)
      : BundleCopy(GoldenModel().path), name_(name) {
    EditSpec([&](model::v1::ModelSpec& spec) {
      *spec.mutable_actions() = {actions.begin(), actions.end()};
      *spec.mutable_event_features() = {event_features.begin(),
                                        event_features.end()};
    });
    SealFingerprint();
    // They are of the bundle as it was.
    EditSpec([](model::v1::ModelSpec& spec) { spec.clear_golden_sha256(); });
  }

  ModelOptions options(bool is_default = false) const {
    ModelOptions options = GoldenModel();
    options.name = name_;
    options.path = folder_;
    options.default_model = is_default;
    return options;
  }

 private:
  const std::string name_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_RENAMED_MODEL_H_

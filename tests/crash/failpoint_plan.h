// At which failpoint to kill next, and how often each was reached. The names are
// those that the sources have, so that none can be forgotten here.
//
// Not thread-safe.
#ifndef QLARANK_TESTS_CRASH_FAILPOINT_PLAN_H_
#define QLARANK_TESTS_CRASH_FAILPOINT_PLAN_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/strings/string_view.h"

namespace qlarank::testing {

class FailpointPlan {
 public:
  // Finds the QLARANK_FAILPOINTs in the sources below `folders`, of the areas
  // that `wanted` says: what their names have before the dot.
  FailpointPlan(const std::vector<std::string>& folders,
                const std::function<bool(absl::string_view area)>& wanted);

  size_t size() const { return names_.size(); }

  // Arms the next failpoint, all in turn, for processes started from now on
  // until Disarm: at one of its first few hits.
  void Arm(absl::BitGenRef random);
  void Disarm();

  // What became of the one that was armed last.
  void Count(bool reached) { ++(reached ? kills_ : missed_)[armed_]; }

  // "NAME killed K, not reached M", a line each; those never reached.
  std::string Report() const;
  std::vector<std::string> NeverReached() const;

 private:
  std::vector<std::string> names_;
  size_t next_ = 0;
  std::string armed_;
  std::map<std::string, int> kills_;
  std::map<std::string, int> missed_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_CRASH_FAILPOINT_PLAN_H_

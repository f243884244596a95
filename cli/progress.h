// Says how a long task gets on: a bar redrawn in place on a terminal, a line
// every few seconds elsewhere.
//
// Time is passed in by way of `clock`, so that tests see fixed rates. Not
// thread-safe.
#ifndef QLARANK_CLI_PROGRESS_H_
#define QLARANK_CLI_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace qlarank {

class Progress {
 public:
  struct Options {
    bool terminal = false;
    std::string label;  // "importing"
    std::string unit;   // "events", what the rate counts
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };

  Progress(std::ostream& out, Options options);

  // `fraction` of the task is done, if known; `count` units have been
  // processed. Cheap: prints only when it is time to.
  void Update(std::optional<double> fraction, uint64_t count);
  // Removes the bar, so that other lines can be printed.
  void Clear();

  absl::Duration elapsed() const { return options_.clock() - start_; }

 private:
  std::string Line(std::optional<double> fraction, uint64_t count,
                   absl::Duration elapsed) const;

  std::ostream& out_;
  Options options_;
  absl::Time start_;
  absl::Time next_print_;
  bool drawn_ = false;
};

// 12345678 as "12,345,678".
std::string WithCommas(uint64_t number);

}  // namespace qlarank

#endif  // QLARANK_CLI_PROGRESS_H_

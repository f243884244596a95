#include "tests/crash/failpoint_plan.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "absl/random/distributions.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qlarank::testing {
namespace {

constexpr char kVariable[] = "QLARANK_FAILPOINT_KILL";

std::string AreaOf(const std::string& name) {
  return name.substr(0, name.find('.'));
}

// Places that are reached all the time are worth a kill later on, too; others
// come once or twice in the life of a server.
int MostHits(const std::string& name) {
  const std::string area = AreaOf(name);
  if (area == "ingest" || area == "wal") return 60;
  if (area == "fold") return 10;
  if (area == "snapshot" || area == "table") return 3;
  return 1;
}

// The QLARANK_FAILPOINTs in the sources below a folder.
void AddNames(const std::string& folder, std::set<std::string>& names) {
  static const std::regex failpoint("QLARANK_FAILPOINT\\(\"([^\"]+)\"\\)");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".cc") continue;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    for (std::sregex_iterator it(text.begin(), text.end(), failpoint), end;
         it != end; ++it) {
      names.insert((*it)[1]);
    }
  }
}

}  // namespace

FailpointPlan::FailpointPlan(
    const std::vector<std::string>& folders,
    const std::function<bool(absl::string_view area)>& wanted) {
  std::set<std::string> names;
  for (const std::string& folder : folders) AddNames(folder, names);
  std::copy_if(names.begin(), names.end(), std::back_inserter(names_),
               [&](const std::string& name) { return wanted(AreaOf(name)); });
}

void FailpointPlan::Arm(absl::BitGenRef random) {
  armed_ = names_[next_++ % names_.size()];
  const int hits =
      absl::Uniform(absl::IntervalClosed, random, 1, MostHits(armed_));
  setenv(kVariable, absl::StrCat(armed_, "=", hits).c_str(), /*replace=*/1);
}

void FailpointPlan::Disarm() { unsetenv(kVariable); }

std::string FailpointPlan::Report() const {
  std::string report;
  for (const std::string& name : names_) {
    const auto of = [&](const std::map<std::string, int>& counts) {
      const auto found = counts.find(name);
      return found == counts.end() ? 0 : found->second;
    };
    absl::StrAppend(
        &report, absl::StrFormat("  %-24s killed %3d, not reached %3d\n", name,
                                 of(kills_), of(missed_)));
  }
  return report;
}

std::vector<std::string> FailpointPlan::NeverReached() const {
  std::vector<std::string> never;
  for (const std::string& name : names_) {
    if (!kills_.contains(name)) never.push_back(name);
  }
  return never;
}

}  // namespace qlarank::testing

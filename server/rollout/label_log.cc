#include "server/rollout/label_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// Without the users who are named.
std::string TrafficText(const ModelLabels& labels) {
  if (!labels.traffic) return "";
  return absl::StrCat(labels.traffic->label, " ", labels.traffic->share,
                      " and ", labels.traffic->users.size(), " users");
}

}  // namespace

void LogLabels(absl::string_view name, const ModelLabels& labels,
               absl::string_view why) {
  const auto waiting = [](std::string* out, const auto& move) {
    absl::StrAppend(out, move.first, " -> ", move.second.version, " at ",
                    move.second.min_coverage);
  };
  LogInfo("a model's labels",
          {{"model", name},
           {"labels", absl::StrJoin(labels.versions, ", ",
                                    absl::PairFormatter(" -> "))},
           {"pending", absl::StrJoin(labels.pending, ", ", waiting)},
           {"traffic", TrafficText(labels)},
           {"shadow", labels.ShadowVersion()},
           {"why", why},
           {"etag", labels.etag()}});
}

}  // namespace qlarank

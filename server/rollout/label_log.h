#ifndef QLARANK_SERVER_ROLLOUT_LABEL_LOG_H_
#define QLARANK_SERVER_ROLLOUT_LABEL_LOG_H_

#include "absl/strings/string_view.h"
#include "server/models/model_labels.h"

namespace qlarank {

// Says in a line of the log what the labels of a model are now, and why.
void LogLabels(absl::string_view name, const ModelLabels& labels,
               absl::string_view why);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_LABEL_LOG_H_

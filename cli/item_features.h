// Numbers that are known of items: the candidate features of requests.
#ifndef QLARANK_CLI_ITEM_FEATURES_H_
#define QLARANK_CLI_ITEM_FEATURES_H_

#include <string>

#include "absl/status/status.h"
#include "cli/event_csv.h"
#include "qlarank/model/v1/model_spec.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// Gives a request's candidates the features that a model wants: those of the
// CSV file `path`, which has one line an item, written as `items` says, and a
// column for each feature. INVALID_ARGUMENT when a file is needed and "", or
// given and not needed; names file, line, column and value of a bad cell, and a
// candidate that the file does not have.
absl::Status FillFeatures(const model::v1::ModelSpec& model,
                          const std::string& path, const ItemColumn& items,
                          v1::RankRequest& request);

}  // namespace qlarank

#endif  // QLARANK_CLI_ITEM_FEATURES_H_

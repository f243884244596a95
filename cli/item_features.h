// Numbers that are known of items: the candidate features of requests.
#ifndef QLARANK_CLI_ITEM_FEATURES_H_
#define QLARANK_CLI_ITEM_FEATURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/event_csv.h"
#include "qlarank/model/v1/model_spec.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

class ItemFeatures {
 public:
  // A CSV file with one line an item, written as `columns` says, and a column
  // for each of `names`. INVALID_ARGUMENT names file, line, column and value.
  static absl::StatusOr<ItemFeatures> Load(
      const std::string& path, const EventColumns& columns,
      const std::vector<std::string>& names);

  // Sets the features of a request's candidates. INVALID_ARGUMENT names one
  // that the file does not have.
  absl::Status Fill(v1::RankRequest& request) const;

 private:
  std::string path_;
  absl::flat_hash_map<uint64_t, std::vector<float>> items_;
};

// The candidate features of a request, which a model wants: those of the CSV
// file `path`. INVALID_ARGUMENT when it is needed and "", or given and not
// needed.
absl::Status FillFeatures(const model::v1::ModelSpec& model,
                          const std::string& path, const EventColumns& columns,
                          v1::RankRequest& request);

}  // namespace qlarank

#endif  // QLARANK_CLI_ITEM_FEATURES_H_

#include "server/models/traffic.h"

#include <xxhash.h>

#include <algorithm>

#include "server/request_log/request_sample.h"

namespace qlarank {

bool Traffic::Has(absl::string_view model_name,
                  absl::string_view user_id) const {
  if (std::binary_search(users.begin(), users.end(), user_id)) return true;
  const uint64_t model = XXH64(model_name.data(), model_name.size(), 0);
  return IsInShare(XXH64(user_id.data(), user_id.size(), model), share);
}

}  // namespace qlarank

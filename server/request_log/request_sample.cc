#include "server/request_log/request_sample.h"

#include <xxhash.h>

#include <cmath>

namespace qlarank {
namespace {

// Of a hash: so many are whole in a double.
constexpr int kBits = 53;

}  // namespace

bool IsInShare(uint64_t hash, double share) {
  return static_cast<double>(hash >> (64 - kBits)) < std::ldexp(share, kBits);
}

bool RequestSample::Has(const v1::RankRequest& request,
                        int64_t request_time_us) const {
  const absl::string_view user = request.user_id();
  uint64_t hash = XXH64(user.data(), user.size(), /*seed=*/0);
  if (!users_) {
    const absl::string_view id = request.request_id();
    hash = id.empty()
               ? XXH64(&request_time_us, sizeof(request_time_us), hash)
               : XXH64(id.data(), id.size(), hash);
  }
  return IsInShare(hash, share_);
}

}  // namespace qlarank

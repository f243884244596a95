// Which requests are logged: a share of them, or of users, by a hash. The same
// request is always in the sample or never, in every process.
#ifndef QLARANK_SERVER_REQUEST_LOG_REQUEST_SAMPLE_H_
#define QLARANK_SERVER_REQUEST_LOG_REQUEST_SAMPLE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "config/server_options.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// Whether a hash is in a share of all, 0 to 1. What is in a smaller share is in a
// larger one.
bool IsInShare(uint64_t hash, double share);

// Immutable, so safe to share.
class RequestSample {
 public:
  explicit RequestSample(const RequestLogOptions& options)
      : RequestSample(options.sample, options.sample_users) {}
  explicit RequestSample(double share, bool users = false)
      : users_(users), share_(share) {}

  // A request is known by its user and its request_id, or without one by its
  // time.
  bool Has(const v1::RankRequest& request, int64_t request_time_us) const;

 private:
  const bool users_;
  const double share_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_REQUEST_LOG_REQUEST_SAMPLE_H_

// Who a caller is, from what it presents: a bearer token or, without one, the
// names in the certificate that its connection was made with.
//
// Thread-safe.
#ifndef QLARANK_SERVER_SECURITY_AUTHENTICATOR_H_
#define QLARANK_SERVER_SECURITY_AUTHENTICATOR_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "server/metrics/security_metrics.h"
#include "server/security/caller.h"
#include "server/security/credentials.h"
#include "server/security/token_table.h"

namespace qlarank {

class Authenticator {
 public:
  explicit Authenticator(const std::vector<ClientNameOptions>& client_names);

  // The tokens that are valid from now on.
  void SetTokens(std::shared_ptr<const TokenTable> tokens)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // A token decides alone: a wrong one is refused whatever the certificate. Of
  // several names, the roles add up.
  std::variant<Caller, Denial> Identify(const Credentials& credentials,
                                        absl::Time now) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  std::variant<Caller, Denial> ByToken(const Credentials& credentials,
                                       absl::Time now) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::variant<Caller, Denial> ByName(const Credentials& credentials) const;

  absl::flat_hash_map<std::string, RoleSet> roles_by_name_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const TokenTable> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_AUTHENTICATOR_H_

// Who calls, once that is known, and what it may do.
#ifndef QLARANK_SERVER_SECURITY_CALLER_H_
#define QLARANK_SERVER_SECURITY_CALLER_H_

#include <string>

#include "config/server_options.h"

namespace qlarank {

struct Caller {
  std::string name;  // for people, in messages and logs
  RoleSet roles;
};

// "rank", "ingest", "admin".
inline const char* RoleName(Role role) {
  switch (role) {
    case Role::kRank:
      return "rank";
    case Role::kIngest:
      return "ingest";
    case Role::kAdmin:
      return "admin";
  }
  return "none";
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CALLER_H_

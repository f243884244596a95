#include "config/roles.h"

namespace qlarank {

std::optional<RoleSet> RolesFromProto(
    const google::protobuf::RepeatedField<int>& roles) {
  RoleSet set;
  for (const int role : roles) {
    switch (role) {
      case config::v1::ROLE_RANK:
        set.Add(Role::kRank);
        break;
      case config::v1::ROLE_INGEST:
        set.Add(Role::kIngest);
        break;
      case config::v1::ROLE_ADMIN:
        set.Add(Role::kAdmin);
        break;
      default:
        return std::nullopt;
    }
  }
  return set;
}

config::v1::Role RoleToProto(Role role) {
  switch (role) {
    case Role::kRank:
      return config::v1::ROLE_RANK;
    case Role::kIngest:
      return config::v1::ROLE_INGEST;
    case Role::kAdmin:
      return config::v1::ROLE_ADMIN;
  }
  return config::v1::ROLE_UNSPECIFIED;
}

}  // namespace qlarank

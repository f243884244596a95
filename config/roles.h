// Roles as they are written in files.
#ifndef QLARANK_CONFIG_ROLES_H_
#define QLARANK_CONFIG_ROLES_H_

#include <optional>

#include "config/server_options.h"
#include "google/protobuf/repeated_field.h"
#include "qlarank/config/v1/role.pb.h"

namespace qlarank {

// nullopt when one of them is no role.
std::optional<RoleSet> RolesFromProto(
    const google::protobuf::RepeatedField<int>& roles);

config::v1::Role RoleToProto(Role role);

// What a field that RolesFromProto refuses, or finds empty, is told.
inline constexpr char kRolesRule[] =
    "expected at least one of ROLE_RANK, ROLE_INGEST and ROLE_ADMIN";

}  // namespace qlarank

#endif  // QLARANK_CONFIG_ROLES_H_

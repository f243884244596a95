// Who may call what, and where it is served: one entry for every method of the
// API and of the services that come with gRPC. Nothing is served or allowed
// that has no entry, so a new RPC is shut until someone decides who it is for;
// tests/integration/access_test.cc finds those that were forgotten.
//
// docs/security.md shows this table to operators. Thread-safe: it is constant.
#ifndef QLARANK_SERVER_SECURITY_ACCESS_TABLE_H_
#define QLARANK_SERVER_SECURITY_ACCESS_TABLE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/server_options.h"

namespace qlarank {

// Where the server listens for gRPC.
enum class Listener { kMain, kAdmin };  // listen.grpc_address, .admin_address

enum class ServedOn { kMain, kAdmin, kBoth };

struct MethodAccess {
  absl::string_view service;  // "qlarank.v1.RankService"
  absl::string_view method;   // "Rank"
  ServedOn served_on;
  std::optional<Role> role;  // that a caller needs; none: anyone may call it
};

// Every entry, those of a service side by side.
absl::Span<const MethodAccess> AccessTable();

// The entry of a method by its path, "/qlarank.v1.RankService/Rank"; nullptr
// when there is none.
const MethodAccess* FindAccess(absl::string_view path);
const MethodAccess* FindAccess(absl::string_view service,
                               absl::string_view method);

// Whether a listener serves it. False without an entry.
bool IsServedOn(Listener listener, absl::string_view service,
                absl::string_view method);
// Whether it serves any method of the service.
bool ServesAnyOf(Listener listener, absl::string_view service);

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_ACCESS_TABLE_H_

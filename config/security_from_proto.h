// The parts of the configuration about who may call, and how much.
#ifndef QLARANK_CONFIG_SECURITY_FROM_PROTO_H_
#define QLARANK_CONFIG_SECURITY_FROM_PROTO_H_

#include "config/problems.h"
#include "config/server_options.h"
#include "qlarank/config/v1/server_config.pb.h"

namespace qlarank {

SecurityOptions SecurityFromProto(const config::v1::SecurityConfig& config,
                                  Problems& problems);

ConnectionsOptions ConnectionsFromProto(
    const config::v1::ConnectionsConfig& config, Problems& problems);

// What addresses and security must be like together: tokens stay off the
// network without TLS, and so does what is for operators.
void ValidateExposure(const ServerOptions& options, Problems& problems);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_SECURITY_FROM_PROTO_H_

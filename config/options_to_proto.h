// ServerOptions as its schema's message, every default written out.
#ifndef QLARANK_CONFIG_OPTIONS_TO_PROTO_H_
#define QLARANK_CONFIG_OPTIONS_TO_PROTO_H_

#include "config/server_options.h"
#include "qlarank/config/v1/server_config.pb.h"

namespace qlarank {

// OptionsFromProto makes the same options of the result.
config::v1::ServerConfig OptionsToProto(const ServerOptions& options);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_OPTIONS_TO_PROTO_H_

// The rules of the configuration: defaults and validation.
#ifndef QLARANK_CONFIG_OPTIONS_FROM_PROTO_H_
#define QLARANK_CONFIG_OPTIONS_FROM_PROTO_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/server_options.h"
#include "qlarank/config/v1/server_config.pb.h"

namespace qlarank {

// `config` with its defaults applied. INVALID_ARGUMENT with a line
// "ORIGIN: FIELD.PATH: VALUE; rule" for every rule that is broken.
absl::StatusOr<ServerOptions> OptionsFromProto(
    const config::v1::ServerConfig& config, absl::string_view origin);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_OPTIONS_FROM_PROTO_H_

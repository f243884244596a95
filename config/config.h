// From a configuration file to ServerOptions, and back.
//
//   absl::StatusOr<ServerOptions> options = LoadServerConfig("demo.textproto");
//   if (!options.ok()) ...  // demo.textproto:3:8: ... , or
//                           // demo.textproto: models[1].version: 0; must be
//                           ...
//
// Whether folders exist and addresses are free is not looked at: a
// configuration can be checked away from the machine that it is for.
#ifndef QLARANK_CONFIG_CONFIG_H_
#define QLARANK_CONFIG_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/server_options.h"

namespace qlarank {

// Reads and parses the file at `path`. Errors: those of ParseServerConfig;
// NOT_FOUND, PERMISSION_DENIED and so on when the file cannot be read.
absl::StatusOr<ServerOptions> LoadServerConfig(const std::string& path);

// Parses `text`, applies the defaults and validates the result. `origin` names
// the text in errors, as a rule its path.
//
// INVALID_ARGUMENT, one problem a line:
//   "ORIGIN:LINE:COLUMN: what is wrong"  it is not a textproto of the schema
//   "ORIGIN: FIELD.PATH: VALUE; rule"    a value breaks a rule; all are
//   reported
absl::StatusOr<ServerOptions> ParseServerConfig(absl::string_view text,
                                                absl::string_view origin);

// `options` as a textproto with the defaults written out. ParseServerConfig
// makes the same options of it.
std::string ToTextproto(const ServerOptions& options);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_CONFIG_H_

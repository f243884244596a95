// qlarank_server --rebuild_states: makes the states of every model that is
// configured, or was loaded while a server ran, anew from the event log and
// writes their snapshots, while no server has the store open. Logs its progress.
#ifndef QLARANK_SERVER_REBUILD_COMMAND_H_
#define QLARANK_SERVER_REBUILD_COMMAND_H_

#include "absl/status/status.h"
#include "config/server_options.h"

namespace qlarank {

// Blocks. Uses ingest.fold_threads threads. Errors are those of opening the
// store and the bundles, and of writing to the store; DATA_LOSS when the log of
// some users could not be read: all others are rebuilt.
absl::Status RebuildConfiguredStates(const ServerOptions& options);

}  // namespace qlarank

#endif  // QLARANK_SERVER_REBUILD_COMMAND_H_

// gRPC's own log lines, among ours.
#ifndef QLARANK_SERVER_OPS_GRPC_LOG_H_
#define QLARANK_SERVER_OPS_GRPC_LOG_H_

namespace qlarank {

// From now on errors of the gRPC library are warnings of ours, a few a minute
// at most, and the rest of what it says is dropped: it calls a client that went
// away an error. Call it once, before gRPC is used.
void RouteGrpcLog();

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_GRPC_LOG_H_

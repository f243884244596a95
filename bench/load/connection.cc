#include "bench/load/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/security/credentials.h"

namespace qlarank::bench {
namespace {

absl::StatusOr<sockaddr_in> Address(const std::string& host, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", host, "\" is not an IPv4 address"));
  }
  return address;
}

absl::StatusOr<int> ConnectFrom(const std::string& source_address,
                                const std::string& server) {
  const size_t colon = server.rfind(':');
  int port = 0;
  if (colon == std::string::npos ||
      !absl::SimpleAtoi(server.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", server, "\" is not host:port"));
  }
  const auto from = Address(source_address, 0);
  if (!from.ok()) return from.status();
  const auto to = Address(server.substr(0, colon), port);
  if (!to.ok()) return to.status();
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(file, reinterpret_cast<const sockaddr*>(&*from), sizeof(*from)) !=
          0 ||
      connect(file, reinterpret_cast<const sockaddr*>(&*to), sizeof(*to)) !=
          0) {
    const int error = errno;
    close(file);
    return absl::UnavailableError(absl::StrCat("cannot connect from ",
                                               source_address, " to ", server,
                                               ": ", strerror(error)));
  }
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
  return file;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> NewConnection(
    const std::string& server, const std::string& source_address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (source_address.empty()) {
    return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  const absl::StatusOr<int> file = ConnectFrom(source_address, server);
  if (!file.ok()) return file.status();
  return grpc::CreateCustomInsecureChannelFromFd(server, *file, arguments);
}

}  // namespace qlarank::bench

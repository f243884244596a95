// A connection to a server of this machine that does not come from 127.0.0.1:
// to the server it is another client's.
#ifndef QLARANK_TESTS_INTEGRATION_OTHER_HOST_H_
#define QLARANK_TESTS_INTEGRATION_OTHER_HOST_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <iostream>
#include <memory>

#include "grpcpp/channel.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/support/channel_arguments.h"

namespace qlarank::testing {

// A connected socket from 127.0.0.2 to 127.0.0.1:port.
inline int SocketFromOtherHost(int port) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in from = {};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(file, reinterpret_cast<sockaddr*>(&from), sizeof(from)) != 0 ||
      connect(file, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    std::cerr << "cannot connect from 127.0.0.2\n";
    std::abort();
  }
  return file;
}

inline std::shared_ptr<grpc::Channel> ConnectFromOtherHost(
    int port, const grpc::ChannelArguments& arguments = {}) {
  const int file = SocketFromOtherHost(port);
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
  return grpc::CreateCustomInsecureChannelFromFd("other-host", file, arguments);
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_INTEGRATION_OTHER_HOST_H_

// What one client may hold open, over real sockets that do not behave.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "server/server.h"
#include "tests/server/health_client.h"
#include "tests/server/http_client.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

// A connection that says nothing of itself.
class RawConnection {
 public:
  explicit RawConnection(int port)
      : file_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(file_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  ~RawConnection() { close(file_); }
  RawConnection(const RawConnection&) = delete;

  void Send(const std::string& bytes) {
    EXPECT_EQ(write(file_, bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  // Whether the server hangs up within `timeout`; reads what it says till then.
  bool EndsWithin(absl::Duration timeout) {
    const absl::Time end = absl::Now() + timeout;
    while (absl::Now() < end) {
      pollfd ready = {file_, POLLIN, 0};
      poll(&ready, 1, 50);
      char buffer[4096];
      if (ready.revents != 0 && read(file_, buffer, sizeof(buffer)) <= 0) {
        return true;
      }
    }
    return false;
  }

 private:
  const int file_;
};

// A client of HTTP/2 to whom nothing further is to be heard of: the preface, an
// empty SETTINGS frame, and the acknowledgement of the server's.
std::string Greeting() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      std::string("\0\0\0\4\0\0\0\0\0", 9),
                      std::string("\0\0\0\4\1\0\0\0\0", 9));
}

class ConnectionsTest : public ::testing::Test {
 protected:
  void Start() {
    auto server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::unique_ptr<RawConnection> Connect() {
    return std::make_unique<RawConnection>(server_->grpc_port());
  }

  bool MetricsHold(const std::string& line) {
    return absl::StrContains(HttpGet(server_->http_port(), "/metrics").body,
                             "\n" + line + "\n");
  }

  ServerOptions options_ = TestOptions();
  std::unique_ptr<Server> server_;
};

TEST_F(ConnectionsTest, AClientHasSoManyAndNoMore) {
  options_.connections.max_per_client = 3;
  Start();
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (int i = 0; i < 3; ++i) {
    connections.push_back(Connect());
    connections.back()->Send(Greeting());
  }
  EXPECT_TRUE(Connect()->EndsWithin(absl::Seconds(10)));
  EXPECT_TRUE(
      MetricsHold("qlarank_connections_refused_total{reason=\"client\"} 1"));
  EXPECT_TRUE(MetricsHold("qlarank_connections_open 3"));
  for (const auto& connection : connections) {
    EXPECT_FALSE(connection->EndsWithin(absl::Milliseconds(100)));
  }
  // The operators' address is in the same count.
  EXPECT_TRUE(RawConnection(server_->admin_port())
                  .EndsWithin(absl::Seconds(10)));
  connections.pop_back();
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (!MetricsHold("qlarank_connections_open 2") && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  const auto next = Connect();
  next->Send(Greeting());
  EXPECT_FALSE(next->EndsWithin(absl::Milliseconds(200)));
}

// One connection's RPCs beyond the limit wait; other connections do not.
TEST_F(ConnectionsTest, AConnectionHasSoManyRpcsAtATime) {
  options_.connections.max_streams = 2;
  Start();
  const auto connect = [&] {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->grpc_port()),
        grpc::InsecureChannelCredentials(), arguments);
  };
  const auto look = [](const std::shared_ptr<grpc::Channel>& channel,
                       absl::Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    v1::GetUserStateRequest request;
    request.set_user_id("user");
    v1::GetUserStateResponse response;
    return v1::StateService::NewStub(channel)
        ->GetUserState(&context, request, &response)
        .error_code();
  };
  const auto channel = connect();
  EXPECT_EQ(look(channel, absl::Seconds(30)), grpc::StatusCode::OK);
  auto first = std::make_unique<HealthClient::Watch>(channel, "");
  EXPECT_EQ(first->Next(), ServingStatus::kServing);
  HealthClient::Watch second(channel, "");
  EXPECT_EQ(second.Next(), ServingStatus::kServing);
  EXPECT_EQ(look(channel, absl::Seconds(1)),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(look(connect(), absl::Seconds(30)), grpc::StatusCode::OK);
  first->Cancel();
  EXPECT_EQ(look(channel, absl::Seconds(30)), grpc::StatusCode::OK);
}

TEST_F(ConnectionsTest, AConnectionThatDoesNotAnswerIsClosed) {
  options_.connections.keepalive_time = absl::Seconds(1);
  options_.connections.keepalive_timeout = absl::Seconds(1);
  Start();
  const auto connection = Connect();
  connection->Send(Greeting());
  EXPECT_FALSE(connection->EndsWithin(absl::Milliseconds(500)));
  EXPECT_TRUE(connection->EndsWithin(absl::Seconds(30)));
}

TEST_F(ConnectionsTest, AnIdleConnectionIsClosed) {
  options_.connections.max_idle = absl::Seconds(1);
  Start();
  const auto connection = Connect();
  connection->Send(Greeting());
  EXPECT_FALSE(connection->EndsWithin(absl::Milliseconds(500)));
  EXPECT_TRUE(connection->EndsWithin(absl::Seconds(60)));
}

// gRPC waits 20 s for a first frame.
TEST_F(ConnectionsTest, AConnectionThatSaysNothingIsClosed) {
  Start();
  EXPECT_TRUE(Connect()->EndsWithin(absl::Seconds(60)));
}

TEST_F(ConnectionsTest, ListensAtEveryAddressOfAName) {
  options_.listen.grpc_address = "localhost:0";
  Start();
  const auto connection = Connect();
  connection->Send(Greeting());
  EXPECT_FALSE(connection->EndsWithin(absl::Milliseconds(200)));
}

TEST_F(ConnectionsTest, AStoppedServerTakesNone) {
  options_.lifecycle.shutdown_timeout = absl::Seconds(1);
  Start();
  const int port = server_->grpc_port();
  const auto before = Connect();
  ASSERT_TRUE(server_->Shutdown().ok());
  EXPECT_TRUE(before->EndsWithin(absl::Seconds(10)));
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(
      connect(file, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(file);
}

}  // namespace
}  // namespace qlarank::testing

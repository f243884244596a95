#include "server/security/connection_watches.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/security/socket_hooks.h"
#include "tests/server/security/http2_frames.h"

namespace qlarank {
namespace {

using testing::Data;
using testing::Headers;
using testing::Hello;
using testing::MessagePrefix;

constexpr uint64_t kKiB = 1 << 10;

// A client's connection, watched at the server's end.
class Client {
 public:
  Client(ConnectionWatches& watches, const std::string& name,
         bool encrypted = false) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, files_), 0);
    connection_ = watches.Watch(files_[1], name, encrypted);
    EXPECT_TRUE(HookSocket(files_[1], connection_));
  }
  ~Client() {
    close(files_[0]);
    CloseServersEnd();
  }
  Client(const Client&) = delete;

  WatchedConnection& connection() { return *connection_; }
  int servers_file() const { return files_[1]; }
  void CloseServersEnd() {
    if (files_[1] >= 0) close(files_[1]);
    files_[1] = -1;
  }

  void Send(const std::string& bytes) {
    EXPECT_EQ(write(files_[0], bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  // As gRPC reads, in two pieces of memory. -1: cut.
  ssize_t ServerReads() {
    std::string first(10, '\0'), second(100'000, '\0');
    iovec parts[] = {{first.data(), first.size()},
                     {second.data(), second.size()}};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return recvmsg(files_[1], &message, MSG_DONTWAIT);
  }
  ssize_t ServerSends(std::string bytes) {
    iovec part = {bytes.data(), bytes.size()};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return sendmsg(files_[1], &message, 0);
  }
  bool HungUp() {
    pollfd ready = {files_[0], POLLIN, 0};
    char byte;
    return poll(&ready, 1, 0) == 1 && read(files_[0], &byte, 1) == 0;
  }

 private:
  int files_[2];
  std::shared_ptr<WatchedConnection> connection_;
};

class ConnectionWatchesTest : public ::testing::Test {
 protected:
  // A message of which so many bytes have come.
  static std::string Part(size_t bytes) {
    return Hello() + Headers(1) +
           Data(1, MessagePrefix(1 << 20) + std::string(bytes - 5, 'm'));
  }
  bool MetricsHold(const std::string& line) {
    const std::string text =
        prometheus::TextSerializer().Serialize(registry_.Collect());
    return text.find("\n" + line + "\n") != std::string::npos;
  }

  prometheus::Registry registry_;
  SecurityMetrics metrics_{registry_};
  const std::shared_ptr<ConnectionWatches> watches_ =
      std::make_shared<ConnectionWatches>(
          ConnectionWatches::Limits{{.unfinished_bytes = 64 * kKiB},
                                    100 * kKiB},
          &metrics_);
};

TEST_F(ConnectionWatchesTest, TheHooksAreWhatTheLinkerFinds) {
  EXPECT_TRUE(HooksAreFound());
}

TEST_F(ConnectionWatchesTest, SeesWhatIsReadAndCutsAnAttack) {
  Client client(*watches_, "1.1.1.1");
  client.Send(Hello());
  EXPECT_FALSE(client.connection().was_read());
  EXPECT_GT(client.ServerReads(), 0);
  EXPECT_TRUE(client.connection().was_read());
  EXPECT_FALSE(client.HungUp());
  client.Send(Headers(1, std::string(50'000, 'a')));
  EXPECT_EQ(client.ServerReads(), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_TRUE(client.HungUp());
  EXPECT_TRUE(MetricsHold(
      "qlarank_connections_cut_total{reason=\"header_block\"} 1"));
}

TEST_F(ConnectionWatchesTest, WhatTheServerSendsEndsCalls) {
  Client client(*watches_, "1.1.1.1");
  client.Send(Part(1'000));
  EXPECT_GT(client.ServerReads(), 0);
  EXPECT_GT(watches_->unfinished_bytes(), 1'000u);
  EXPECT_GT(client.ServerSends(Headers(1, "", FrameHeader::kEndStream)), 0);
  EXPECT_EQ(watches_->unfinished_bytes(), 0u);
}

// What passes the socket is not HTTP/2.
TEST_F(ConnectionWatchesTest, DoesNotLookIntoTls) {
  Client client(*watches_, "1.1.1.1", true);
  client.Send("\x16\x03\x01 and so on");
  EXPECT_GT(client.ServerReads(), 0);
  EXPECT_TRUE(client.connection().was_read());
  EXPECT_FALSE(client.HungUp());
}

// The number of a closed file goes to the next one.
TEST_F(ConnectionWatchesTest, AClosedFileIsWatchedNoMore) {
  Client client(*watches_, "1.1.1.1");
  client.Send(Part(1'000));
  EXPECT_GT(client.ServerReads(), 0);
  const int number = client.servers_file();
  client.CloseServersEnd();
  EXPECT_EQ(watches_->unfinished_bytes(), 0u);
  int files[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, files), 0);
  ASSERT_EQ(files[0], number);
  EXPECT_EQ(write(files[1], "not HTTP/2", 10), 10);
  char buffer[10];
  iovec part = {buffer, sizeof(buffer)};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  EXPECT_EQ(recvmsg(files[0], &message, 0), 10);
  close(files[0]);
  close(files[1]);
}

TEST_F(ConnectionWatchesTest, TheClientThatHoldsMostLosesItsLargest) {
  // Small ones of one client, and larger ones of others.
  Client few(*watches_, "1.1.1.1"), most(*watches_, "1.1.1.1");
  Client other(*watches_, "2.2.2.2"), last(*watches_, "3.3.3.3");
  few.Send(Part(20 * kKiB));
  most.Send(Part(22 * kKiB));
  other.Send(Part(26 * kKiB));
  for (Client* client : {&few, &most, &other}) {
    EXPECT_GT(client->ServerReads(), 0);
    EXPECT_FALSE(client->HungUp());
  }
  const uint64_t before = watches_->unfinished_bytes();
  last.Send(Part(24 * kKiB));
  EXPECT_GT(last.ServerReads(), 0);
  EXPECT_TRUE(most.HungUp());
  EXPECT_FALSE(few.HungUp());
  EXPECT_FALSE(other.HungUp());
  EXPECT_FALSE(last.HungUp());
  EXPECT_LE(watches_->unfinished_bytes(), 100 * kKiB);
  EXPECT_GT(watches_->unfinished_bytes(), before - 32 * kKiB);
  EXPECT_EQ(most.connection().unfinished_bytes(), 0u);
  EXPECT_TRUE(
      MetricsHold("qlarank_connections_cut_total{reason=\"unfinished\"} 1"));
}

TEST_F(ConnectionWatchesTest, ConnectionsMayOutliveTheMetrics) {
  Client client(*watches_, "1.1.1.1");
  client.Send("no HTTP/2");
  watches_->Detach();
  EXPECT_EQ(client.ServerReads(), -1);
  EXPECT_TRUE(
      MetricsHold("qlarank_connections_cut_total{reason=\"preface\"} 0"));
}

}  // namespace
}  // namespace qlarank

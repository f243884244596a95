// Clients that do not take what they asked for, or are not there any more: they
// hold a bounded amount of the server, for a bounded time, and nobody up.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/proto_buffer_writer.h"
#include "gtest/gtest.h"
#include "server/rpc/stream_events_reactor.h"
#include "tests/integration/other_host.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

class SlowClientTest : public ::testing::Test {
 protected:
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
};

// Batches of streams that were read and whose acknowledgement was not begun to
// be written.
double Unacknowledged(const TestServer& server) {
  constexpr char kStreams[] =
      "{grpc_method=\"StreamEvents\","
      "grpc_service=\"qlarank.v1.IngestService\",grpc_type=\"bidi_stream\"}";
  // In this order: what happens between the two makes it less.
  const double read =
      server.Metric(absl::StrCat("grpc_server_msg_received_total", kStreams));
  return read -
         server.Metric(absl::StrCat("grpc_server_msg_sent_total", kStreams));
}

struct Window {
  uint64_t bytes;
  uint64_t batches;  // that it has room for
};

class StalledStreamTest : public SlowClientTest,
                          public ::testing::WithParamInterface<Window> {};

// The transport takes some acknowledgements, the server some batches: after
// that it reads nothing more until the client does.
TEST_P(StalledStreamTest, IsNotReadFromUntilItsClientReads) {
  ServerOptions options = TestOptions();
  options.ingest.stream_window_bytes = GetParam().bytes;
  TestServer server(options);
  grpc::ChannelArguments arguments;
  // Else the window for acknowledgements grows as they come.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto stub = v1::IngestService::NewStub(
      ConnectFromOtherHost(server.grpc_port(), arguments));
  grpc::ClientContext context;
  const auto stream = stub->StreamEvents(&context);
  constexpr uint64_t kMost = 400'000;
  std::atomic<uint64_t> written{0};
  std::thread writer([&] {
    v1::StreamEventsRequest request;
    for (uint64_t n = 1; n <= kMost; ++n) {
      request.set_batch_id(~n);  // ten bytes in the acknowledgement
      *request.mutable_append() = MakeAppend(*bundle_, "slow", n, n);
      if (!stream->Write(request)) break;
      written = n;
    }
    stream->WritesDone();
  });
  // Until nothing was written for a second.
  uint64_t before = 0;
  do {
    before = written;
    absl::SleepFor(absl::Seconds(1));
  } while (written > before);
  EXPECT_LT(written, kMost / 2);
  const double applied =
      server.Metric("qlarank_ingest_events_total{result=\"applied\"}");
  EXPECT_LE(applied, written);
  EXPECT_LE(Unacknowledged(server), GetParam().batches);

  // Nobody else notices.
  EXPECT_TRUE(server.Append(MakeAppend(*bundle_, "quick", 1, 10)).ok());
  EXPECT_TRUE(server.GetState("quick", 10).ok());

  // When they read, all goes on where it stopped. The rest is not needed.
  v1::StreamEventsResponse response;
  const uint64_t stalled = written;
  for (uint64_t n = 1; n <= stalled + 100; ++n) {
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.error_code(), 0) << response.error_message();
  }
  context.TryCancel();
  writer.join();
}

INSTANTIATE_TEST_SUITE_P(
    Windows, StalledStreamTest,
    ::testing::Values(
        Window{IngestOptions().stream_window_bytes,
               StreamEventsReactor::kMaxInFlight},
        Window{1, 1}));  // a batch is read while there is room for any

// Asks for rankings and takes no reply.
class Taker {
 public:
  explicit Taker(std::shared_ptr<grpc::Channel> channel) : stub_(channel) {}
  ~Taker() {
    for (const auto& call : calls_) call->context.TryCancel();
    for (const auto& call : calls_) call->stream->Finish(&call->status, this);
    for (size_t i = 0; i < calls_.size(); ++i) Next();
    queue_.Shutdown();
  }

  void Ask(const v1::RankRequest& request) {
    auto call = std::make_unique<Call>();
    call->stream = stub_.PrepareCall(&call->context,
                                     "/qlarank.v1.RankService/Rank", &queue_);
    call->stream->StartCall(this);
    Next();
    grpc::ByteBuffer bytes;
    bool own_buffer;
    ASSERT_TRUE(grpc::SerializationTraits<v1::RankRequest>::Serialize(
                    request, &bytes, &own_buffer)
                    .ok());
    call->stream->WriteLast(bytes, grpc::WriteOptions(), this);
    Next();
    calls_.push_back(std::move(call));
  }

 private:
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    grpc::Status status;
  };

  void Next() {
    void* tag;
    bool ok;
    ASSERT_TRUE(queue_.Next(&tag, &ok));
  }

  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::vector<std::unique_ptr<Call>> calls_;
};

TEST_F(SlowClientTest, RepliesThatAreNotTakenAreFewAndCutOff) {
  ServerOptions options = TestOptions();
  options.rank.max_inflight_requests = 16;
  options.rank.reply_timeout = absl::Seconds(10);
  TestServer server(options);
  // 96 KB of scores, of which the transport takes 64.
  const v1::RankRequest large =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 8'000));
  const v1::RankRequest small =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 50));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  Taker taker(ConnectFromOtherHost(server.grpc_port(), arguments));
  for (int i = 0; i < 40; ++i) taker.Ask(large);
  const std::string refused =
      "qlarank_rank_requests_total{model=\"all_l4_decay_conv_everything\","
      "status=\"ResourceExhausted\",version=\"1\"}";
  const std::string ok =
      "qlarank_rank_requests_total{model=\"all_l4_decay_conv_everything\","
      "status=\"OK\",version=\"1\"}";
  while (server.Metric(ok) + server.Metric(refused) < 40) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  // Answered, not taken, and still counted.
  EXPECT_GT(server.Metric("qlarank_inflight_requests"), 6);
  EXPECT_LE(server.Metric("qlarank_inflight_requests"), 12);
  EXPECT_GE(server.Metric(refused), 28);
  // Another client is served meanwhile.
  for (int i = 0; i < 20; ++i) {
    const auto response = server.Rank(small);
    EXPECT_TRUE(response.ok()) << response.status();
  }
  // And after the time-out nothing is left.
  const absl::Time end = absl::Now() + absl::Seconds(40);
  while (server.Metric("qlarank_inflight_requests") > 0 && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_EQ(server.Metric("qlarank_inflight_requests"), 0);
}

// It said hello and was never heard of again: no reset, no answer to a ping.
TEST_F(SlowClientTest, AHalfOpenConnectionIsClosed) {
  ServerOptions options = TestOptions();
  options.connections.keepalive_time = absl::Seconds(1);
  options.connections.keepalive_timeout = absl::Seconds(1);
  TestServer server(options);
  const int file = SocketFromOtherHost(server.grpc_port());
  // The preface of HTTP/2 and an empty SETTINGS frame.
  const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
                          24 + 9);
  ASSERT_EQ(write(file, hello.data(), hello.size()), hello.size());
  char buffer[4096];
  ssize_t size = 1;
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (size > 0 && absl::Now() < end) {
    pollfd readable = {file, POLLIN, 0};
    if (poll(&readable, 1, 100) > 0) size = read(file, buffer, sizeof(buffer));
  }
  EXPECT_LE(size, 0) << "the server still holds the connection";
  close(file);
  EXPECT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 1)).ok());
}

}  // namespace
}  // namespace qlarank::testing

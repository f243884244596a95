// Strangers who send what no client sends, over TCP and TLS: their connection
// is cut, and nobody else notices.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "server/security/http2_watch.h"
#include "tests/integration/raw_http2_client.h"
#include "tests/integration/secure_server.h"
#include "tests/server/http_client.h"
#include "tests/server/security/http2_frames.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr char kRank[] = "/qlarank.v1.RankService/Rank";
constexpr char kStreamEvents[] = "/qlarank.v1.IngestService/StreamEvents";
constexpr uint64_t kMiB = 1 << 20;

// The parameter: TLS.
class AttackTest : public ::testing::TestWithParam<bool> {
 protected:
  AttackTest() {
    SecurityOptions& security = secure_.options().security;
    const TlsOptions tls = security.tls;
    security = SecurityOptions();
    if (GetParam()) security.tls = tls;
    security.tls.client_ca_file.clear();
  }

  void Start() { secure_.Start(); }

  // Of which unfinished messages get 40 MiB.
  void SetSmallBudget() {
    ServerOptions& options = secure_.options();
    options.memory.budget_bytes = 640 * kMiB;
    options.store.head_cache_bytes = 0;
    options.store.block_cache_bytes = 0;
    options.store.user_cache_bytes = 0;
  }

  // From 127.0.0.x.
  std::unique_ptr<RawHttp2Client> Stranger(int x = 1) {
    return std::make_unique<RawHttp2Client>(secure_.server().grpc_port(),
                                            GetParam(), x);
  }

  double Metric(const std::string& name) {
    const std::string text =
        HttpGet(secure_.server().http_port(), "/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1
                                   : std::atof(&text[at + name.size() + 2]);
  }
  double Cuts(const std::string& reason) {
    return Metric(absl::StrCat("qlarank_connections_cut_total{reason=\"",
                               reason, "\"}"));
  }

  std::shared_ptr<grpc::Channel> Connect() {
    return secure_.Connect(Listener::kMain,
                           GetParam() ? secure_.Tls()
                                      : grpc::InsecureChannelCredentials());
  }

  // An honest client is served.
  void ExpectService() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    v1::RankResponse response;
    const auto status = v1::RankService::NewStub(Connect())->Rank(
        &context, MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 20)),
        &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  SecureServer secure_;
};

TEST_P(AttackTest, ConnectionsAreWatched) {
  Start();
  EXPECT_EQ(Metric("qlarank_connections_watched"), 1);
  ExpectService();
}

TEST_P(AttackTest, AHeaderOverManyFramesIsCutOffEarly) {
  Start();
  for (const size_t frame_bytes : {16'000, 200, 1}) {
    const auto stranger = Stranger();
    // A literal of 4 MB (RFC 7541, section 5.1) of which no end comes.
    stranger->Send(
        Headers(1, std::string("\0\4evil\x7f\x81\xa4\xf4\1", 11), 0));
    const std::string frame = Frame(FrameHeader::kContinuation, 0, 1,
                                    std::string(frame_bytes, 'a'));
    size_t sent = 0;
    while (sent < 4 * kMiB && stranger->Send(frame)) sent += frame.size();
    EXPECT_LT(sent, 4 * kMiB) << frame_bytes;
    EXPECT_TRUE(stranger->EndsWithin(absl::Seconds(10)));
  }
  EXPECT_EQ(Cuts("header_block"), 1);
  EXPECT_EQ(Cuts("continuations"), 2);
  ExpectService();
}

TEST_P(AttackTest, CallsTakenBackAtOnceAreCutOff) {
  Start();
  const auto stranger = Stranger();
  uint32_t stream = 1;
  while (stream < 400'000 && stranger->BeginCall(stream, kRank) &&
         stranger->Send(Reset(stream))) {
    stream += 2;
  }
  EXPECT_LT(stream, 400'000u);
  EXPECT_TRUE(stranger->EndsWithin(absl::Seconds(10)));
  EXPECT_EQ(Cuts("resets"), 1);
  ExpectService();
}

TEST_P(AttackTest, SettingsAllTheTimeAreCutOff) {
  Start();
  const auto stranger = Stranger();
  const std::string frame = Frame(FrameHeader::kSettings, 0, 0, "");
  int sent = 0;
  while (sent < 2'000'000 && stranger->Send(frame)) ++sent;
  EXPECT_LT(sent, 2'000'000);
  EXPECT_EQ(Cuts("control_frames"), 1);
  ExpectService();
}

// 64 messages of 4 MB, of which all but the end comes, on eight connections of
// one stranger: a small part of it is ever held. Meanwhile another client
// uploads the largest message that there may be, slowly.
TEST_P(AttackTest, UnfinishedMessagesAreBounded) {
  SetSmallBudget();
  Start();
  const double bound = Metric("qlarank_memory_unfinished_bytes");
  EXPECT_EQ(bound, 40 * kMiB);
  // Not a message of protobuf: refused, but only when all of it is there.
  const std::string large = absl::StrCat(
      MessagePrefix(16 * kMiB - 100), std::string(16 * kMiB - 100, '\xff'));
  const auto honest = Stranger(2);
  ASSERT_TRUE(honest->BeginCall(1, kRank));
  const size_t half = large.size() / 2;
  ASSERT_TRUE(honest->SendData(1, absl::string_view(large).substr(0, half)));

  const std::string part =
      MessagePrefix(4 * kMiB) + std::string(4 * kMiB - 1, 'm');
  std::vector<std::unique_ptr<RawHttp2Client>> strangers;
  for (int i = 0; i < 8; ++i) {
    strangers.push_back(Stranger());
    for (uint32_t stream = 1; stream < 16; stream += 2) {
      if (!strangers.back()->BeginCall(stream, kRank) ||
          !strangers.back()->SendData(stream, part)) {
        break;
      }
      ASSERT_LE(Metric("qlarank_connections_unfinished_bytes"),
                bound + kMiB);
    }
  }
  EXPECT_GT(Cuts("unfinished"), 4);
  EXPECT_GT(Metric("qlarank_connections_unfinished_bytes"), 8 * kMiB);

  ASSERT_TRUE(honest->SendData(1, absl::string_view(large).substr(half),
                               FrameHeader::kEndStream));
  EXPECT_TRUE(honest->CallEndsWithin(1, absl::Seconds(30)));
  ExpectService();
  strangers.clear();
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (Metric("qlarank_connections_unfinished_bytes") > 0 &&
         absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(Metric("qlarank_connections_unfinished_bytes"), 0);
}

// Calls of which nothing but the headers comes hold memory of gRPC, too.
TEST_P(AttackTest, CallsWithoutAMessageAreBounded) {
  SetSmallBudget();
  Start();
  const double bound = Metric("qlarank_memory_unfinished_bytes");
  std::vector<std::unique_ptr<RawHttp2Client>> strangers;
  for (int i = 0; i < 6; ++i) {
    strangers.push_back(Stranger());
    for (uint32_t stream = 1; stream < 2'000; stream += 2) {
      if (!strangers.back()->BeginCall(stream, kStreamEvents)) break;
    }
  }
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (Cuts("unfinished") == 0 && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_GT(Cuts("unfinished"), 0);
  EXPECT_LE(Metric("qlarank_connections_unfinished_bytes"), bound);
  ExpectService();
}

// What honest clients do that looks a little like it: thousands of calls that
// are given up, large messages side by side, streams, metadata too large.
TEST_P(AttackTest, HonestClientsAreNotCutOff) {
  Start();
  const auto channel = Connect();
  const auto ranks = v1::RankService::NewStub(channel);
  const v1::RankRequest large =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 20'000));
  int given_up = 0;
  for (int i = 0; i < 300; ++i) {
    grpc::ClientContext context;
    context.set_deadline(
        absl::ToChronoTime(absl::Now() + absl::Milliseconds(1)));
    v1::RankResponse response;
    given_up += !ranks->Rank(&context, large, &response).ok();
  }
  EXPECT_GT(given_up, 100);
  const auto ingest = v1::IngestService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = ingest->StreamEvents(&context);
  for (uint64_t n = 1; n <= 2'000; ++n) {
    v1::StreamEventsRequest request;
    request.set_batch_id(n);
    *request.mutable_append() = MakeAppend(*bundle_, "user", n, n);
    v1::StreamEventsResponse response;
    if (!stream->Write(request) || !stream->Read(&response)) {
      FAIL() << "batch " << n << ": " << stream->Finish().error_message();
    }
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  ExpectService();
  // Last: gRPC itself sometimes closes a connection after that.
  {
    grpc::ClientContext context;
    context.AddMetadata("much", std::string(10'000, 'm'));
    v1::RankResponse response;
    EXPECT_FALSE(ranks->Rank(&context, large, &response).ok());
  }
  for (int i = 1; i < kFaults; ++i) {
    EXPECT_EQ(Cuts(FaultName(static_cast<Fault>(i))), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, AttackTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Tls" : "Plain";
                         });

}  // namespace
}  // namespace qlarank::testing

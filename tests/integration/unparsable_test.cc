// Calls whose request is none: bytes that do not parse, strings that are not
// UTF-8, clients that give up before they have sent it.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "server/security/access_table.h"
#include "tests/integration/http2_frames.h"
#include "tests/integration/test_server.h"
#include "tests/server/http_client.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::google::protobuf::DescriptorPool;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::MethodDescriptor;
using ::grpc::internal::RpcMethod;
using ::testing::HasSubstr;

// Field 1, of 127 bytes that do not come.
constexpr char kCutShort[] = "\x0a\x7f";

grpc::ByteBuffer Bytes(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// As protobuf writes tags: seven bits a byte.
std::string Varint(uint32_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) {
    bytes.push_back(static_cast<char>(value | 0x80));
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

// A message that has two bytes which are no UTF-8 in `field`.
std::string NotUtf8(const FieldDescriptor& field) {
  return absl::StrCat(Varint(field.number() << 3 | 2), "\x02\xff\xfe");
}

// A field with bytes in it, by its number.
std::string Within(int number, const std::string& bytes) {
  return absl::StrCat(Varint(number << 3 | 2), BigEndian(bytes.size(), 1),
                      bytes);
}

std::string PathOf(const MethodDescriptor& method) {
  return absl::StrCat("/", method.service()->full_name(), "/", method.name());
}

class UnparsableTest : public ::testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  std::shared_ptr<grpc::Channel> ChannelOf(Listener listener) {
    const std::string address =
        listener == Listener::kMain
            ? absl::StrCat("127.0.0.1:", server_.grpc_port())
            : server_.admin_address();
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }

  grpc::Status Call(Listener listener, const std::string& path,
                    const std::string& bytes) {
    const auto channel = ChannelOf(listener);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    grpc::ByteBuffer response;
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer,
                                             grpc::ByteBuffer>(
        channel.get(), RpcMethod(path.c_str(), RpcMethod::NORMAL_RPC, channel),
        &context, Bytes(bytes), &response);
  }

  std::unique_ptr<Stream> OpenStream(const std::string& path,
                                     grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    return std::unique_ptr<Stream>(
        grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer,
                                                  grpc::ByteBuffer>::
            Create(channel_.get(),
                   RpcMethod(path.c_str(), RpcMethod::BIDI_STREAMING, channel_),
                   &context));
  }

  // Every unary method of ours, at every address that serves it.
  void ForEachMethod(
      const std::function<void(Listener, const MethodDescriptor&)>& check) {
    int methods = 0;
    for (const Listener listener : {Listener::kMain, Listener::kAdmin}) {
      for (const MethodAccess& entry : AccessTable()) {
        const auto* method = DescriptorPool::generated_pool()->FindMethodByName(
            absl::StrCat(entry.service, ".", entry.method));
        if (method == nullptr || method->client_streaming() ||
            !absl::StartsWith(entry.service, "qlarank.") ||
            !IsServedOn(listener, entry.service, entry.method)) {
          continue;
        }
        SCOPED_TRACE(method->full_name());
        check(listener, *method);
        ++methods;
      }
    }
    EXPECT_GE(methods, 8);
  }

  double Handled(const char* code, const char* service, const char* method,
                 const char* type = "unary") {
    return server_.Metric(absl::StrCat(
        "grpc_server_handled_total{grpc_code=\"", code, "\",grpc_method=\"",
        method, "\",grpc_service=\"qlarank.v1.", service, "\",grpc_type=\"",
        type, "\"}"));
  }

  static bool Eventually(const std::function<bool()>& holds) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (!holds()) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return true;
  }

  TestServer server_{TestOptions()};
  std::shared_ptr<grpc::Channel> channel_ = ChannelOf(Listener::kMain);
};

TEST_F(UnparsableTest, EveryMethodSaysWhoseMessageItWas) {
  ::testing::internal::CaptureStderr();
  ForEachMethod([this](Listener listener, const MethodDescriptor& method) {
    const grpc::Status status = Call(listener, PathOf(method), kCutShort);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(),
              absl::StrCat(method.name(), ": the request cannot be parsed as ",
                           method.input_type()->full_name(),
                           ": it is not a valid protobuf message"));
  });
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(UnparsableTest, EveryMethodSaysWhichFieldIsNotUtf8) {
  ::testing::internal::CaptureStderr();
  int fields = 0;
  ForEachMethod([&](Listener listener, const MethodDescriptor& method) {
    for (int i = 0; i < method.input_type()->field_count(); ++i) {
      const FieldDescriptor& field = *method.input_type()->field(i);
      if (field.type() != FieldDescriptor::TYPE_STRING) continue;
      const grpc::Status status =
          Call(listener, PathOf(method), NotUtf8(field));
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_EQ(
          status.error_message(),
          absl::StrCat(method.name(), ": the request cannot be parsed as ",
                       method.input_type()->full_name(), ": ",
                       field.full_name(), " is not valid UTF-8"));
      ++fields;
    }
  });
  EXPECT_GE(fields, 8);
  // Once it was a line of protobuf's own for each.
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(UnparsableTest, AFieldWithinIsNamedToo) {
  const grpc::Status status =
      Call(Listener::kMain, "/qlarank.v1.IngestService/AppendEvents",
           Within(2, Within(2, Within(2, "\xff"))));
  EXPECT_THAT(status.error_message(),
              HasSubstr("qlarank.v1.Event.action is not valid UTF-8"));
}

TEST_F(UnparsableTest, AStreamEndsWithItOnceTheRestIsAnswered) {
  const auto bundle = LoadGolden(GoldenModel());
  v1::StreamEventsRequest good;
  good.set_batch_id(7);
  *good.mutable_append() = MakeAppend(*bundle, "user", 1, 3);
  v1::StreamEventsRequest late;
  *late.mutable_append() = MakeAppend(*bundle, "user", 4, 4);
  for (const auto& [bad, reason] :
       {std::pair<std::string, const char*>{
            kCutShort, "it is not a valid protobuf message"},
        {Within(2, Within(1, "\xff")),
         "qlarank.v1.AppendEventsRequest.source is not valid UTF-8"}}) {
    SCOPED_TRACE(reason);
    grpc::ClientContext context;
    const auto stream =
        OpenStream("/qlarank.v1.IngestService/StreamEvents", context);
    EXPECT_TRUE(stream->Write(Bytes(good.SerializeAsString())));
    EXPECT_TRUE(stream->Write(Bytes(bad)));
    stream->Write(Bytes(late.SerializeAsString()));  // may fail: it has ended
    grpc::ByteBuffer answer;
    EXPECT_TRUE(stream->Read(&answer));
    EXPECT_FALSE(stream->Read(&answer));
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(),
              absl::StrCat("StreamEvents: the request cannot be parsed as "
                           "qlarank.v1.StreamEventsRequest: ",
                           reason));
  }
  const auto state = server_.GetState("user", 3);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->state().log_sequence(), 3);
}

TEST_F(UnparsableTest, ACallWithoutARequestIsTold) {
  grpc::ClientContext context;
  const auto stream = OpenStream("/qlarank.v1.RankService/Rank", context);
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "Rank: the call has no request");
}

// A valid request, but for its end.
TEST_F(UnparsableTest, AClientThatGivesUpEarlyIsCountedAsCancelled) {
  constexpr int kCalls = 20;
  HttpConnection connection(server_.grpc_port());
  connection.Send(Http2Begin());
  for (uint32_t call = 0; call < kCalls; ++call) {
    const uint32_t stream = 2 * call + 1;
    connection.Send(Http2Call(stream, "/qlarank.v1.RankService/Rank"));
    connection.Send(Http2PartOfMessage(stream, 1000, "\x0a\x04user"));
    absl::SleepFor(absl::Milliseconds(20));
    connection.Send(Http2Cancel(stream));
  }
  EXPECT_TRUE(Eventually([this] {
    return Handled("Canceled", "RankService", "Rank") == kCalls;
  })) << Handled("Canceled", "RankService", "Rank");
  EXPECT_EQ(Handled("Unimplemented", "RankService", "Rank"), 0);
  EXPECT_EQ(Handled("InvalidArgument", "RankService", "Rank"), 0);
}

TEST_F(UnparsableTest, AStreamThatIsGivenUpIsCountedAsCancelled) {
  {
    grpc::ClientContext context;
    const auto stream =
        OpenStream("/qlarank.v1.IngestService/StreamEvents", context);
    const auto bundle = LoadGolden(GoldenModel());
    v1::StreamEventsRequest batch;
    *batch.mutable_append() = MakeAppend(*bundle, "user", 1, 3);
    EXPECT_TRUE(stream->Write(Bytes(batch.SerializeAsString())));
    grpc::ByteBuffer answer;
    EXPECT_TRUE(stream->Read(&answer));
    context.TryCancel();
    stream->Finish();
  }
  EXPECT_TRUE(Eventually([this] {
    return Handled("Canceled", "IngestService", "StreamEvents",
                   "bidi_stream") == 1;
  }));
  EXPECT_EQ(Handled("OK", "IngestService", "StreamEvents", "bidi_stream"), 0);
}

}  // namespace
}  // namespace qlarank::testing

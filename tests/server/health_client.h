// A client of grpc.health.v1.Health without its .proto, which Debian does not
// ship: the two messages have one field each and are read and written here.
#ifndef QLARANK_TESTS_SERVER_HEALTH_CLIENT_H_
#define QLARANK_TESTS_SERVER_HEALTH_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"

namespace qlarank {

// HealthCheckResponse.ServingStatus; kNone: no such message.
enum class ServingStatus {
  kUnknown,
  kServing,
  kNotServing,
  kServiceUnknown,
  kNone
};

class HealthClient {
 public:
  explicit HealthClient(std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)) {}

  // Check. kNone when the call failed, with the status in `error`.
  ServingStatus Check(const std::string& service, grpc::Status& error) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    grpc::ByteBuffer response;
    error =
        grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
            channel_.get(),
            grpc::internal::RpcMethod("/grpc.health.v1.Health/Check",
                                      grpc::internal::RpcMethod::NORMAL_RPC,
                                      channel_),
            &context, Request(service), &response);
    return error.ok() ? Status(response) : ServingStatus::kNone;
  }

  // A Watch, until it is destroyed.
  class Watch {
   public:
    Watch(const std::shared_ptr<grpc::Channel>& channel,
          const std::string& service) {
      context_.set_deadline(
          absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
      reader_.reset(
          grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(
              channel.get(),
              grpc::internal::RpcMethod(
                  "/grpc.health.v1.Health/Watch",
                  grpc::internal::RpcMethod::SERVER_STREAMING, channel),
              &context_, Request(service)));
    }

    // Blocks for the next change; kNone when the stream has ended.
    ServingStatus Next() {
      grpc::ByteBuffer response;
      return reader_->Read(&response) ? Status(response) : ServingStatus::kNone;
    }

    grpc::Status Finish() { return reader_->Finish(); }

    // The stream ends.
    void Cancel() { context_.TryCancel(); }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> reader_;
  };

 private:
  // string service = 1
  static grpc::ByteBuffer Request(const std::string& service) {
    grpc::Slice slice(absl::StrCat(
        "\x0a", std::string(1, static_cast<char>(service.size())), service));
    return grpc::ByteBuffer(&slice, 1);
  }

  // ServingStatus status = 1
  static ServingStatus Status(grpc::ByteBuffer& response) {
    grpc::Slice slice;
    if (!response.DumpToSingleSlice(&slice).ok() || slice.size() < 2) {
      return ServingStatus::kUnknown;
    }
    return static_cast<ServingStatus>(slice.begin()[1]);
  }

  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_SERVER_HEALTH_CLIENT_H_

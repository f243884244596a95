#include "tests/integration/secure_server.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/protobuf/message.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "model/sha256.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::grpc::internal::RpcMethod;

std::string AllTokens() {
  return absl::StrCat(
      TokenEntry("rank", SecretOf("rank"), "roles: ROLE_RANK"),
      TokenEntry("ingest", SecretOf("ingest"), "roles: ROLE_INGEST"),
      TokenEntry("admin", SecretOf("admin"),
                 "roles: ROLE_ADMIN expires: '2999-01-01T00:00:00Z'"),
      TokenEntry("expired", SecretOf("expired"),
                 "roles: ROLE_ADMIN roles: ROLE_RANK roles: ROLE_INGEST "
                 "expires: '2020-01-01T00:00:00Z'"),
      TokenEntry("twice", SecretOf("twice"),
                 "roles: ROLE_RANK roles: ROLE_INGEST"));
}

grpc::ByteBuffer Bytes(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

void Prepare(grpc::ClientContext& context, absl::Duration timeout,
             const std::string& authorization) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  if (!authorization.empty()) {
    context.AddMetadata("authorization", authorization);
  }
}

// grpc.reflection.v1alpha.ServerReflectionRequest { list_services: "*" }
constexpr char kListServices[] = "\x3a\x01*";

// The names in a ServerReflectionResponse. Debian ships no header for it, but
// gRPC's library holds its class.
std::vector<std::string> ServicesIn(const std::string& bytes) {
  const auto* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
          "grpc.reflection.v1alpha.ServerReflectionResponse");
  std::unique_ptr<google::protobuf::Message> response(
      google::protobuf::MessageFactory::generated_factory()
          ->GetPrototype(type)
          ->New());
  EXPECT_TRUE(response->ParseFromString(bytes));
  const auto& list = response->GetReflection()->GetMessage(
      *response, type->FindFieldByName("list_services_response"));
  const auto* services = list.GetDescriptor()->FindFieldByName("service");
  std::vector<std::string> names;
  for (int i = 0; i < list.GetReflection()->FieldSize(list, services); ++i) {
    const auto& service =
        list.GetReflection()->GetRepeatedMessage(list, services, i);
    names.push_back(service.GetReflection()->GetString(
        service, service.GetDescriptor()->FindFieldByName("name")));
  }
  return names;
}

void AddMethodsOf(const std::string& service, std::vector<std::string>& paths) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          service);
  const size_t before = paths.size();
  for (int i = 0; descriptor != nullptr && i < descriptor->method_count();
       ++i) {
    paths.push_back(
        absl::StrCat("/", service, "/", descriptor->method(i)->name()));
  }
  for (const MethodAccess& entry : AccessTable()) {
    if (descriptor == nullptr && entry.service == service) {
      paths.push_back(absl::StrCat("/", service, "/", entry.method));
    }
  }
  EXPECT_GT(paths.size(), before) << "who may call " << service << "?";
}

}  // namespace

std::string TokenEntry(const std::string& name, const std::string& secret,
                       const std::string& roles_and_more) {
  return absl::StrCat("tokens { name: '", name, "' sha256: '",
                      Sha256Hex(secret), "' ", roles_and_more, " }\n");
}

std::string SecretOf(const std::string& name) {
  return absl::StrCat("secret-of-", name, "-0123456789abcdef");
}

SecureServer::SecureServer()
    : authority_(dir_.path(), "authority"),
      pair_(authority_.Issue("server", "server",
                             "DNS:localhost,IP:127.0.0.1")),
      options_(TestOptions()) {
  std::ofstream(Path("tokens.textproto")) << AllTokens();
  SecurityOptions& security = options_.security;
  security.tls = {pair_.certificate_file, pair_.private_key_file,
                  authority_.certificate_file(), false};
  security.token_file = Path("tokens.textproto");
  RoleSet rank;
  rank.Add(Role::kRank);
  security.client_names = {{"ranker.internal", rank}};
  security.reload_interval = absl::Seconds(1);
}

void SecureServer::Start() {
  auto server = Server::Start(options_);
  if (!server.ok()) {
    std::cerr << server.status() << "\n";
    std::abort();
  }
  server_ = *std::move(server);
}

void SecureServer::Stop() { server_ = nullptr; }

std::shared_ptr<grpc::Channel> SecureServer::Connect(
    Listener listener,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const int port = listener == Listener::kMain ? server_->grpc_port()
                                               : server_->admin_port();
  return grpc::CreateCustomChannel(absl::StrCat("localhost:", port),
                                   credentials, arguments);
}

std::shared_ptr<grpc::ChannelCredentials> SecureServer::Tls() const {
  return grpc::SslCredentials(
      {ReadFile(authority_.certificate_file()), "", ""});
}

std::shared_ptr<grpc::ChannelCredentials> SecureServer::Tls(
    const KeyPair& client) const {
  return grpc::SslCredentials({ReadFile(authority_.certificate_file()),
                               ReadFile(client.private_key_file),
                               ReadFile(client.certificate_file)});
}

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                  const std::string& path, const std::string& authorization) {
  grpc::ClientContext context;
  // A watch never ends by itself; that it lasts is an answer too.
  const bool endless = absl::EndsWith(path, "/Watch");
  Prepare(context, absl::Seconds(endless ? 1 : 30), authorization);
  grpc::ByteBuffer response;
  return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), RpcMethod(path.c_str(), RpcMethod::NORMAL_RPC, channel),
      &context, Bytes(std::string()), &response);
}

std::vector<std::string> ListMethods(
    const std::shared_ptr<grpc::Channel>& channel,
    const std::string& authorization) {
  grpc::ClientContext context;
  Prepare(context, absl::Seconds(10), authorization);
  const RpcMethod method(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      RpcMethod::BIDI_STREAMING, channel);
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>
      stream(grpc::internal::ClientReaderWriterFactory<
             grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel.get(), method,
                                                         &context));
  grpc::ByteBuffer response;
  std::vector<std::string> paths;
  if (stream->Write(Bytes(kListServices)) && stream->Read(&response)) {
    for (const std::string& service : ServicesIn(Bytes(response))) {
      AddMethodsOf(service, paths);
    }
  }
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return paths;
}

}  // namespace qlarank::testing

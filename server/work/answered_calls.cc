#include "server/work/answered_calls.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "model/sha256.h"

namespace qlarank {
namespace {

constexpr size_t kMostRequestIdBytes = 64;

// The same for the same fields, in whatever order its maps have them.
std::string Serialized(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

}  // namespace

absl::StatusOr<AskedChange> AskedFor(const google::protobuf::Message& request,
                                     absl::string_view request_id) {
  if (request_id.empty()) return AskedChange();
  if (request_id.size() > kMostRequestIdBytes) {
    return FieldError("request_id", Quoted(request_id),
                      absl::StrCat("at most ", kMostRequestIdBytes, " bytes"));
  }
  Sha256 digest;
  digest.Update(request.GetDescriptor()->full_name());
  digest.Update(Serialized(request));
  return AskedChange{std::string(request_id), digest.HexDigest()};
}

}  // namespace qlarank

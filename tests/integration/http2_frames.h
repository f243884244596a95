// Frames of HTTP/2, for calls that no gRPC client would make (RFC 9113; headers
// are literals without compression, RFC 7541 section 6.2.2).
#ifndef QLARANK_TESTS_INTEGRATION_HTTP2_FRAMES_H_
#define QLARANK_TESTS_INTEGRATION_HTTP2_FRAMES_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qlarank::testing {

inline std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift));
  }
  return text;
}

inline std::string Http2Frame(uint8_t type, uint8_t flags, uint32_t stream,
                              absl::string_view payload) {
  return absl::StrCat(BigEndian(payload.size(), 3), BigEndian(type, 1),
                      BigEndian(flags, 1), BigEndian(stream, 4), payload);
}

// What a connection begins with: the preface, and no settings.
inline std::string Http2Begin() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      Http2Frame(4, 0, 0, ""));
}

// The headers of a gRPC call, with which the stream begins.
inline std::string Http2Call(uint32_t stream, absl::string_view path) {
  std::string headers;
  for (const auto& [name, value] :
       {std::pair<absl::string_view, absl::string_view>{":method", "POST"},
        {":scheme", "http"},
        {":path", path},
        {":authority", "test"},
        {"content-type", "application/grpc"},
        {"te", "trailers"}}) {
    absl::StrAppend(&headers, BigEndian(0, 1), BigEndian(name.size(), 1), name,
                    BigEndian(value.size(), 1), value);
  }
  return Http2Frame(1, /*END_HEADERS*/ 4, stream, headers);
}

// The beginning of a message of `size` bytes.
inline std::string Http2PartOfMessage(uint32_t stream, uint32_t size,
                                      absl::string_view begin) {
  return Http2Frame(
      0, 0, stream,
      absl::StrCat(BigEndian(0, 1), BigEndian(size, 4), begin));
}

// Its client gives the stream up: CANCEL.
inline std::string Http2Cancel(uint32_t stream) {
  return Http2Frame(3, 0, stream, BigEndian(8, 4));
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_INTEGRATION_HTTP2_FRAMES_H_

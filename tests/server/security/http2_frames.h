// Builders of HTTP/2 frames, for tests to send or to feed.
#ifndef QLARANK_TESTS_SERVER_SECURITY_HTTP2_FRAMES_H_
#define QLARANK_TESTS_SERVER_SECURITY_HTTP2_FRAMES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/security/frame_reader.h"

namespace qlarank::testing {

inline constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr uint8_t kEndHeaders = 4;

inline std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(value >> (8 * i)));
  }
  return text;
}

inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream,
                         absl::string_view payload) {
  return absl::StrCat(BigEndian(static_cast<uint32_t>(payload.size()), 3),
                      BigEndian(type, 1), BigEndian(flags, 1),
                      BigEndian(stream, 4), payload);
}

inline std::string Data(uint32_t stream, absl::string_view payload,
                        uint8_t flags = 0) {
  return Frame(FrameHeader::kData, flags, stream, payload);
}

inline std::string Headers(uint32_t stream, absl::string_view block = "",
                           uint8_t flags = kEndHeaders) {
  return Frame(FrameHeader::kHeaders, flags, stream, block);
}

inline std::string Reset(uint32_t stream) {
  return Frame(FrameHeader::kResetStream, 0, stream, BigEndian(8, 4));
}

// Of gRPC: what stands before a message of so many bytes.
inline std::string MessagePrefix(uint32_t bytes) {
  return absl::StrCat(BigEndian(0, 1), BigEndian(bytes, 4));
}

// What a client says first, as it is allowed to.
inline std::string Hello() {
  return absl::StrCat(kPreface, Frame(FrameHeader::kSettings, 0, 0, ""));
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_SECURITY_HTTP2_FRAMES_H_

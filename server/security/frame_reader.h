// Cuts one direction of an HTTP/2 connection into its frames (RFC 9113, section
// 4.1), whatever pieces it comes in. Keeps nine bytes at most.
// Thread-compatible.
#ifndef QLARANK_SERVER_SECURITY_FRAME_READER_H_
#define QLARANK_SERVER_SECURITY_FRAME_READER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace qlarank {

struct FrameHeader {
  static constexpr uint8_t kData = 0;
  static constexpr uint8_t kHeaders = 1;
  static constexpr uint8_t kResetStream = 3;
  static constexpr uint8_t kSettings = 4;
  static constexpr uint8_t kPing = 6;
  static constexpr uint8_t kWindowUpdate = 8;
  static constexpr uint8_t kContinuation = 9;
  // Flags. Of DATA and HEADERS, of SETTINGS and PING.
  static constexpr uint8_t kEndStream = 1;
  static constexpr uint8_t kAck = 1;

  uint32_t length;
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
};

class FrameReader {
 public:
  // Calls begin(header) for each frame that begins in `bytes`, payload(piece)
  // for its payload as it comes, end(header) when all of it was there. Stops
  // for good when `stop` returns true after the first or the last of these.
  template <typename Begin, typename Payload, typename End, typename Stop>
  void Read(absl::string_view bytes, Begin begin, Payload payload, End end,
            Stop stop) {
    while (!bytes.empty()) {
      if (header_size_ < kHeaderBytes) {
        AddToHeader(bytes);
        if (header_size_ < kHeaderBytes) return;
        begin(frame_);
        if (stop()) return;
      }
      const absl::string_view piece = bytes.substr(0, left_);
      bytes.remove_prefix(piece.size());
      left_ -= static_cast<uint32_t>(piece.size());
      if (!piece.empty()) payload(piece);
      if (left_ > 0) return;
      header_size_ = 0;
      end(frame_);
      if (stop()) return;
    }
  }

 private:
  static constexpr size_t kHeaderBytes = 9;

  void AddToHeader(absl::string_view& bytes) {
    const size_t size = std::min(bytes.size(), kHeaderBytes - header_size_);
    std::copy_n(bytes.begin(), size, header_.begin() + header_size_);
    header_size_ += size;
    bytes.remove_prefix(size);
    if (header_size_ == kHeaderBytes) ParseHeader();
  }

  void ParseHeader() {
    const auto byte = [this](int i) -> uint32_t { return header_[i]; };
    frame_.length = byte(0) << 16 | byte(1) << 8 | byte(2);
    frame_.type = header_[3];
    frame_.flags = header_[4];
    frame_.stream =
        (byte(5) & 0x7f) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    left_ = frame_.length;
  }

  std::array<uint8_t, kHeaderBytes> header_;
  size_t header_size_ = 0;
  FrameHeader frame_ = {};
  uint32_t left_ = 0;  // of the payload
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_FRAME_READER_H_

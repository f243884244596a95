// Follows the HTTP/2 frames of one connection, both ways, and says when what a
// client sends is an attack: gRPC 1.51 reads all of it, whatever it costs. It
// looks at frame headers and at gRPC's message prefixes, and decodes nothing.
//
//   Http2Watch watch(limits);
//   if (watch.Received(bytes, now) != Fault::kNone) ...  // hang up
//   watch.Sent(bytes);
//
// Whatever the bytes are, and however they are cut into pieces: the faults and
// the count are the same. Errors of framing that gRPC finds by itself at no
// cost are left to it. Thread-compatible.
#ifndef QLARANK_SERVER_SECURITY_HTTP2_WATCH_H_
#define QLARANK_SERVER_SECURITY_HTTP2_WATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/metrics/connection_fault.h"
#include "server/security/frame_reader.h"
#include "server/security/token_bucket.h"

namespace qlarank {

struct Http2Limits {
  // Of the metadata of one call, as the server advertises it to clients. gRPC
  // refuses calls with more; a connection is cut at kHeaderSlackBytes beyond.
  static constexpr size_t kMetadataBytes = 8 << 10;
  static constexpr size_t kHeaderSlackBytes = 16 << 10;
  // gRPC's frames hold 16 KiB: two would do.
  static constexpr int kContinuationFrames = 16;
  // Frames that carry nothing of a call, beyond those that what the server
  // sends gives rise to.
  static constexpr double kControlFramesPerSecond = 1'000;
  static constexpr double kControlFramesBurst = 10'000;
  // Control frames that one frame from the server may give rise to: an update
  // of each window, a probe of the bandwidth, an acknowledgement.
  static constexpr double kControlFramesPerSent = 10;
  // Calls that the client takes back, beyond one for each that was answered.
  // A client with short deadlines takes back every call when the server is
  // late.
  static constexpr double kResetsPerSecond = 1'000;
  static constexpr double kResetsBurst = 5'000;
  // What gRPC holds for a call whose first message is not there yet, and for
  // each frame of an unfinished message beside its bytes.
  static constexpr uint64_t kCallBytes = 8 << 10;
  static constexpr uint64_t kFrameBytes = 64;

  // Of this connection's unfinished messages, such calls and frames counted.
  uint64_t unfinished_bytes = 0;
};

class Http2Watch {
 public:
  explicit Http2Watch(const Http2Limits& limits) : limits_(limits) {}

  // What the client sent next. Once it is at fault it stays so.
  Fault Received(absl::string_view bytes, absl::Time now);

  // What the server sent next: it ends calls, and earns control frames.
  void Sent(absl::string_view bytes);

  // Held in messages that are not complete.
  uint64_t unfinished_bytes() const { return unfinished_bytes_; }

 private:
  static constexpr int kPrefixBytes = 5;

  // Of a call that neither side has ended.
  struct Call {
    uint64_t held = Http2Limits::kCallBytes;
    // Of the message that is being received.
    std::array<uint8_t, kPrefixBytes> prefix;
    int prefix_size = 0;
    uint32_t left = 0;  // once the prefix is complete
  };

  void BeginFrame(const FrameHeader& frame, absl::Time now);
  void BeginHeaders(const FrameHeader& frame, absl::Time now);
  void Payload(absl::string_view bytes);
  void EndFrame(const FrameHeader& frame);
  void BeginSent(const FrameHeader& frame);

  static void AddToMessage(absl::string_view bytes, Call& call);
  Call* FindCall(uint32_t stream);
  void EndCall(uint32_t stream);
  void TakeControlFrame(absl::Time now);
  void SetFault(Fault fault);

  const Http2Limits limits_;
  Fault fault_ = Fault::kNone;
  size_t preface_size_ = 0;  // so much of it has come
  FrameReader received_;
  FrameReader sent_;
  uint64_t block_bytes_ = 0;
  int block_continuations_ = 0;
  uint32_t last_stream_ = 0;
  absl::flat_hash_map<uint32_t, Call> calls_;
  // That of the DATA frame which is being received; null: of no call.
  Call* data_call_ = nullptr;
  uint64_t unfinished_bytes_ = 0;
  TokenBucket control_frames_{Http2Limits::kControlFramesPerSecond,
                              Http2Limits::kControlFramesBurst};
  TokenBucket resets_{Http2Limits::kResetsPerSecond,
                      Http2Limits::kResetsBurst};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_HTTP2_WATCH_H_

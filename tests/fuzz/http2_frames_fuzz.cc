// A connection's bytes, both ways, cut up anyhow: the watch finds the same
// fault as in one piece and counts the same, and no more than can have come.
//
// The input is pieces: a byte whose top bit says who sends it and whose other
// bits say how many of the following bytes are in it. The client's begin behind
// a sound preface.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/security/http2_watch.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/server/security/http2_frames.h"

namespace qlarank::fuzz {
namespace {

using testing::Data;
using testing::Frame;
using testing::Headers;
using testing::MessagePrefix;
using testing::Reset;

constexpr uint64_t kLimit = 64 << 10;

// Pieces of the input, of so many bytes at most.
std::string Pieces(bool from_server, absl::string_view bytes) {
  std::string pieces;
  while (!bytes.empty()) {
    const absl::string_view part = bytes.substr(0, 127);
    bytes.remove_prefix(part.size());
    pieces.push_back(
        static_cast<char>((from_server ? 0x80 : 0) | part.size()));
    absl::StrAppend(&pieces, part);
  }
  return pieces;
}

// Feeds the input; `step` bytes at a time of each piece, 0: all.
class Run {
 public:
  explicit Run(absl::string_view input, size_t step)
      : watch_(Http2Limits{.unfinished_bytes = kLimit}) {
    Receive(testing::Hello(), step);
    while (!input.empty()) {
      const auto head = static_cast<uint8_t>(input[0]);
      const absl::string_view piece = input.substr(1, head & 0x7f);
      input.remove_prefix(1 + piece.size());
      if ((head & 0x80) != 0) {
        Send(piece, step);
      } else {
        Receive(piece, step);
      }
    }
  }

  Fault fault() { return watch_.Received("", absl::UnixEpoch()); }
  uint64_t unfinished() const { return watch_.unfinished_bytes(); }
  uint64_t received() const { return received_; }

 private:
  void Receive(absl::string_view bytes, size_t step) {
    received_ += bytes.size();
    const Fault before = fault();
    while (!bytes.empty()) {
      const absl::string_view part =
          bytes.substr(0, step == 0 ? bytes.size() : step);
      watch_.Received(part, absl::UnixEpoch());
      bytes.remove_prefix(part.size());
    }
    Check(before == Fault::kNone || fault() == before, "a fault stays");
  }
  void Send(absl::string_view bytes, size_t step) {
    while (!bytes.empty()) {
      const absl::string_view part =
          bytes.substr(0, step == 0 ? bytes.size() : step);
      watch_.Sent(part);
      bytes.remove_prefix(part.size());
    }
  }

  Http2Watch watch_;
  uint64_t received_ = 0;
};

}  // namespace

std::vector<std::string> Seeds() {
  const std::string call = Headers(1, "block") +
                           Data(1, MessagePrefix(4) + "mess") +
                           Data(1, "", FrameHeader::kEndStream);
  const std::string upload =
      Headers(3) + Data(3, MessagePrefix(60'000) + std::string(9'000, 'm')) +
      Headers(5) + Data(5, MessagePrefix(40) + "part") + Reset(5);
  const std::string ended =
      Headers(1) + Data(1, MessagePrefix(2) + "ok") +
      Headers(1, "", FrameHeader::kEndStream | testing::kEndHeaders);
  return {
      Pieces(false, call) + Pieces(true, ended),
      Pieces(false, upload) + Pieces(true, Reset(3)),
      Pieces(false, Headers(1, "a", 0) +
                       Frame(FrameHeader::kContinuation, 0, 1, "b") +
                       Frame(FrameHeader::kContinuation, 4, 1, "c")),
      Pieces(false, Headers(1, std::string(30'000, 'a'))),
      Pieces(false, Frame(FrameHeader::kSettings, 1, 0, "") +
                       Frame(FrameHeader::kPing, 0, 0, "12345678") +
                       Frame(FrameHeader::kWindowUpdate, 0, 0, "abcd"))};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  const absl::string_view input = fuzz::AsText(data, size);
  fuzz::Run whole(input, 0);
  for (const size_t step : {1, 2, 7, 100}) {
    fuzz::Run cut(input, step);
    fuzz::Check(cut.fault() == whole.fault(), "the same fault, however cut");
    fuzz::Check(whole.fault() != qlarank::Fault::kNone ||
                    cut.unfinished() == whole.unfinished(),
                "the same count, however cut");
  }
  fuzz::Check(whole.fault() != qlarank::Fault::kPreface,
              "a sound preface is one");
  // A call begins with a frame of nine bytes at least, as does each part of its
  // message.
  fuzz::Check(whole.unfinished() <=
                  whole.received() +
                      whole.received() / 9 *
                          (qlarank::Http2Limits::kCallBytes +
                           qlarank::Http2Limits::kFrameBytes),
              "nothing is counted that did not come");
  return 0;
}

#include "cli/decompressor.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"

namespace qlarank {
namespace {

constexpr absl::string_view kGzip = "\x1F\x8B";
// Behind them comes the size of blocks, then the first block: pi.
constexpr absl::string_view kBzip2 = "BZh";
constexpr absl::string_view kBzip2Block = "1AY&SY";
constexpr absl::string_view kXz(
    "\xFD"
    "7zXZ\0",
    6);

// The libraries count in unsigned int.
template <typename Size>
unsigned int Available(Size size) {
  return static_cast<unsigned int>(
      std::min<size_t>(size, std::numeric_limits<unsigned int>::max()));
}

class Gunzip : public Decompressor {
 public:
  // Windows of 2^15 bytes at most, and gzip's header.
  Gunzip() : ready_(inflateInit2(&stream_, 15 + 16) == Z_OK) {}
  ~Gunzip() override {
    if (ready_) inflateEnd(&stream_);
  }

  Result Run(absl::string_view& input, absl::Span<char>& output) override {
    if (!ready_) return Result::kDamaged;
    const unsigned int given = stream_.avail_in = Available(input.size());
    const unsigned int room = stream_.avail_out = Available(output.size());
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    input.remove_prefix(given - stream_.avail_in);
    output.remove_prefix(room - stream_.avail_out);
    if (result == Z_STREAM_END) {
      inflateReset(&stream_);
      return Result::kEndOfMember;
    }
    // Z_BUF_ERROR: nothing could be done without more input or more room.
    return result == Z_OK || result == Z_BUF_ERROR ? Result::kMore
                                                   : Result::kDamaged;
  }
  absl::string_view name() const override { return "gzip"; }

 private:
  z_stream stream_ = {};
  bool ready_;
};

class Bunzip2 : public Decompressor {
 public:
  Bunzip2() { Begin(); }
  ~Bunzip2() override {
    if (ready_) BZ2_bzDecompressEnd(&stream_);
  }

  Result Run(absl::string_view& input, absl::Span<char>& output) override {
    if (!ready_) return Result::kDamaged;
    const unsigned int given = stream_.avail_in = Available(input.size());
    const unsigned int room = stream_.avail_out = Available(output.size());
    stream_.next_in = const_cast<char*>(input.data());
    stream_.next_out = output.data();
    const int result = BZ2_bzDecompress(&stream_);
    input.remove_prefix(given - stream_.avail_in);
    output.remove_prefix(room - stream_.avail_out);
    if (result == BZ_STREAM_END) {
      BZ2_bzDecompressEnd(&stream_);
      Begin();
      return Result::kEndOfMember;
    }
    return result == BZ_OK ? Result::kMore : Result::kDamaged;
  }
  absl::string_view name() const override { return "bzip2"; }

 private:
  void Begin() {
    stream_ = {};
    ready_ =
        BZ2_bzDecompressInit(&stream_, /*verbosity=*/0, /*small=*/0) == BZ_OK;
  }

  bz_stream stream_ = {};
  bool ready_ = false;
};

class Unxz : public Decompressor {
 public:
  Unxz() { Begin(); }
  ~Unxz() override { lzma_end(&stream_); }

  Result Run(absl::string_view& input, absl::Span<char>& output) override {
    if (!ready_) return Result::kDamaged;
    stream_.next_in = reinterpret_cast<const uint8_t*>(input.data());
    stream_.avail_in = input.size();
    stream_.next_out = reinterpret_cast<uint8_t*>(output.data());
    stream_.avail_out = output.size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    input.remove_prefix(input.size() - stream_.avail_in);
    output.remove_prefix(output.size() - stream_.avail_out);
    if (result == LZMA_STREAM_END) {
      Begin();
      return Result::kEndOfMember;
    }
    return result == LZMA_OK || result == LZMA_BUF_ERROR ? Result::kMore
                                                         : Result::kDamaged;
  }
  absl::string_view name() const override { return "xz"; }

 private:
  void Begin() {
    ready_ = lzma_stream_decoder(&stream_, std::numeric_limits<uint64_t>::max(),
                                 0) == LZMA_OK;
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::For(absl::string_view beginning) {
  if (absl::StartsWith(beginning, kGzip)) return std::make_unique<Gunzip>();
  if (absl::StartsWith(beginning, kBzip2) &&
      absl::StartsWith(
          beginning.substr(std::min(beginning.size(), kBzip2.size() + 1)),
          kBzip2Block)) {
    return std::make_unique<Bunzip2>();
  }
  if (absl::StartsWith(beginning, kXz)) return std::make_unique<Unxz>();
  return nullptr;
}

}  // namespace qlarank

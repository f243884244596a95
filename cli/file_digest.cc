#include "cli/file_digest.h"

#include <xxhash.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {

void FileDigest::FreeState::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

FileDigest::FileDigest() : state_(XXH3_createState()) {
  XXH3_128bits_reset(state_.get());
}

FileDigest::~FileDigest() = default;

void FileDigest::Add(absl::string_view bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  bytes_ += bytes.size();
  if (beginning_ != Beginning::kNotReached || bytes_ < expected_bytes_) return;
  beginning_ = bytes_ == expected_bytes_ && Hex() == expected_hex_
                   ? Beginning::kSame
                   : Beginning::kDiffers;
}

std::string FileDigest::Hex() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_.get());
  return absl::StrCat(absl::Hex(digest.high64, absl::kZeroPad16),
                      absl::Hex(digest.low64, absl::kZeroPad16));
}

void FileDigest::Expect(uint64_t bytes, std::string hex) {
  expected_bytes_ = bytes;
  expected_hex_ = std::move(hex);
  beginning_ = Beginning::kNotReached;
}

std::string ShortDigest(absl::string_view bytes) {
  return absl::StrCat(
      absl::Hex(XXH3_64bits(bytes.data(), bytes.size()), absl::kZeroPad16));
}

}  // namespace qlarank

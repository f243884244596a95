// A digest (XXH3, 128 bits) of what was read of a file so far, and whether the
// file begins with what another digest was made of. Not thread-safe.
#ifndef QLARANK_CLI_FILE_DIGEST_H_
#define QLARANK_CLI_FILE_DIGEST_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct XXH3_state_s;

namespace qlarank {

class FileDigest {
 public:
  // How what was read compares with the beginning that is expected.
  enum class Beginning { kNotReached, kSame, kDiffers };

  FileDigest();
  ~FileDigest();

  void Add(absl::string_view bytes);
  uint64_t bytes() const { return bytes_; }
  // Of all bytes added, as 32 hexadecimal digits.
  std::string Hex() const;

  // From now on, beginning() says whether the first `bytes` have the digest
  // `hex`. It is known once they were added; who adds past them without ending
  // there has added something else. REQUIRES: nothing was added.
  void Expect(uint64_t bytes, std::string hex);
  Beginning beginning() const { return beginning_; }

 private:
  struct FreeState {
    void operator()(XXH3_state_s* state) const;
  };

  std::unique_ptr<XXH3_state_s, FreeState> state_;
  uint64_t bytes_ = 0;
  uint64_t expected_bytes_ = 0;
  std::string expected_hex_;
  Beginning beginning_ = Beginning::kSame;
};

// 64 bits of XXH3 as 16 hexadecimal digits.
std::string ShortDigest(absl::string_view bytes);

}  // namespace qlarank

#endif  // QLARANK_CLI_FILE_DIGEST_H_

// SHA-256 (FIPS 180-4), by OpenSSL.
#ifndef QLARANK_MODEL_SHA256_H_
#define QLARANK_MODEL_SHA256_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace qlarank {

// Digests what is given in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void Update(absl::string_view bytes);
  // The digest in lower-case hex; the object is spent afterwards.
  std::string HexDigest();

 private:
  evp_md_ctx_st* context_;
};

// The digest of one piece, in lower-case hex.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace qlarank

#endif  // QLARANK_MODEL_SHA256_H_

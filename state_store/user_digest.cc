#include "state_store/user_digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>

namespace qlarank {
namespace {

unsigned char* Bytes(std::string& s) {
  return reinterpret_cast<unsigned char*>(s.data());
}

}  // namespace

std::string NewDigestKey() {
  std::string key(32, '\0');
  // Without randomness there is no secret to keep ids by.
  if (RAND_bytes(Bytes(key), static_cast<int>(key.size())) != 1) std::abort();
  return key;
}

std::string UserDigest(absl::string_view key, absl::string_view user_id) {
  constexpr size_t kBytes = 16;
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(user_id.data()), user_id.size(),
       Bytes(digest), nullptr);
  digest.resize(kBytes);
  return digest;
}

}  // namespace qlarank

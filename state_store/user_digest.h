// What stands for a user in records of their erasure: a keyed digest of their
// id. Whoever has the key can tell whether a record is about a given user;
// nobody can tell from a record who they were. Thread-safe.
#ifndef QLARANK_STATE_STORE_USER_DIGEST_H_
#define QLARANK_STATE_STORE_USER_DIGEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

// 32 random bytes.
std::string NewDigestKey();

// HMAC-SHA-256 of the id, its first 16 bytes.
std::string UserDigest(absl::string_view key, absl::string_view user_id);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_USER_DIGEST_H_

// The bearer tokens that callers may present: whose each is, what it allows and
// until when. The tokens themselves are nowhere, only their SHA-256: who reads
// the file cannot call with what it holds.
//
//   auto table = TokenTable::Parse(text, path);
//   switch (const auto found = table->Find(token, absl::Now()); found.match)
//
// Immutable, hence thread-safe.
#ifndef QLARANK_SERVER_SECURITY_TOKEN_TABLE_H_
#define QLARANK_SERVER_SECURITY_TOKEN_TABLE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/security/caller.h"

namespace qlarank {

class TokenTable {
 public:
  // No token of ours is longer; a longer one is not even digested.
  static constexpr size_t kMaxTokenBytes = 1024;

  // A textproto of qlarank.config.v1.TokenFile, with a token at least: whoever
  // means that nobody may call can say so (docs/security.md), and an empty file
  // is more often one that was cut short. INVALID_ARGUMENT with the place of the
  // first mistake, "ORIGIN:LINE:COLUMN: ..." where it is no textproto
  // and else "ORIGIN: tokens[1].sha256: RULE". It quotes nothing of the file:
  // someone may have written a token anywhere in it.
  static absl::StatusOr<TokenTable> Parse(const std::string& text,
                                          absl::string_view origin);

  enum class Match { kUnknown, kExpired, kValid };
  struct Found {
    Match match = Match::kUnknown;
    const Caller* caller = nullptr;  // unless unknown; lives as long as this
  };

  // Takes as long whether the token is known or not, and whichever it is.
  Found Find(absl::string_view token, absl::Time now) const;

  size_t size() const { return entries_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Entry {
    Digest digest;
    Caller caller;
    absl::Time expires = absl::InfiniteFuture();
  };

  std::vector<Entry> entries_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_TOKEN_TABLE_H_

#include "server/security/token_table.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "config/roles.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "qlarank/config/v1/token_file.pb.h"

namespace qlarank {
namespace {

using Digest = std::array<uint8_t, 32>;

Digest Sha256Of(absl::string_view bytes) {
  Digest digest;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(),
             nullptr);
  return digest;
}

// Keeps where the first error is, and not what it says: that may quote the
// file, into which someone may have written a token.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& /*message*/) override {
    if (where_.empty()) where_ = absl::StrCat(line + 1, ":", column + 1);
  }
  const std::string& where() const { return where_; }

 private:
  std::string where_;
};

absl::StatusOr<config::v1::TokenFile> ParseFile(const std::string& text,
                                                absl::string_view origin) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  config::v1::TokenFile file;
  if (parser.ParseFromString(text, &file)) return file;
  return absl::InvalidArgumentError(
      absl::StrCat(origin, ":", error.where(),
                   ": is no textproto of qlarank.config.v1.TokenFile"));
}

// What is wrong with `hex`, which is no digest.
std::string DigestProblem(absl::string_view hex) {
  constexpr absl::string_view kRule = "expected 64 lower-case hex digits";
  const size_t end = hex.find_first_not_of("0123456789abcdefABCDEF");
  if (end == 64) {
    return absl::StrCat(kRule,
                        "; cut off what stands behind them, which sha256sum "
                        "prints too: two spaces and the file's name, or \"-\"");
  }
  if (end == absl::string_view::npos && hex.size() == 64) {
    return absl::StrCat(kRule, "; these are the right number, in upper case");
  }
  return std::string(kRule);
}

// nullopt unless `hex` is a digest as sha256sum prints it.
std::optional<Digest> ParseDigest(absl::string_view hex) {
  Digest digest;
  if (hex.size() != 2 * digest.size() ||
      hex.find_first_not_of("0123456789abcdef") != absl::string_view::npos) {
    return std::nullopt;
  }
  const std::string bytes = absl::HexStringToBytes(hex);
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(const std::string& text,
                                             absl::string_view origin) {
  const auto file = ParseFile(text, origin);
  if (!file.ok()) return file.status();
  if (file->tokens().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        origin, ": holds no token; to revoke all of them, let each expire"));
  }
  TokenTable table;
  for (int i = 0; i < file->tokens_size(); ++i) {
    const config::v1::Token& token = file->tokens(i);
    const auto problem = [&](absl::string_view field, absl::string_view rule) {
      return absl::InvalidArgumentError(
          absl::StrCat(origin, ": tokens[", i, "].", field, ": ", rule));
    };
    Entry entry;
    entry.caller.name = token.name();
    if (token.name().empty()) return problem("name", "is required");
    const std::optional<Digest> digest = ParseDigest(token.sha256());
    if (!digest.has_value()) {
      return problem("sha256", DigestProblem(token.sha256()));
    }
    entry.digest = *digest;
    for (size_t other = 0; other < table.entries_.size(); ++other) {
      if (table.entries_[other].digest == entry.digest) {
        return problem("sha256",
                       absl::StrCat("is that of tokens[", other, "] already"));
      }
    }
    const std::optional<RoleSet> roles = RolesFromProto(token.roles());
    if (!roles.has_value() || roles->empty()) {
      return problem("roles", kRolesRule);
    }
    entry.caller.roles = *roles;
    if (!token.expires().empty() &&
        !absl::ParseTime(absl::RFC3339_full, token.expires(), &entry.expires,
                         nullptr)) {
      return problem("expires",
                     "expected a time such as 2027-01-31T00:00:00Z");
    }
    table.entries_.push_back(std::move(entry));
  }
  return table;
}

TokenTable::Found TokenTable::Find(absl::string_view token,
                                   absl::Time now) const {
  if (token.empty() || token.size() > kMaxTokenBytes) return {};
  const Digest digest = Sha256Of(token);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    // Every entry, and every byte of each, whatever was found before.
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) {
      found = &entry;
    }
  }
  if (found == nullptr) return {};
  return {now < found->expires ? Match::kValid : Match::kExpired,
          &found->caller};
}

}  // namespace qlarank

#include "server/ops/user_label.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

using HmacKey = std::array<unsigned char, 32>;

const HmacKey& Key() {
  static const HmacKey key = [] {
    HmacKey random;
    // Without randomness there is no secret to keep ids by.
    if (RAND_bytes(random.data(), random.size()) != 1) std::abort();
    return random;
  }();
  return key;
}

// Where the quoted text that begins at `begin` ends: at its closing quote, or
// with `text`. A quote within is escaped.
size_t EndOfQuoted(absl::string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && text[end] != '"') {
    end += text[end] == '\\' ? 2 : 1;
  }
  return std::min(end, text.size());
}

std::string LabelOfQuoted(absl::string_view quoted) {
  std::string user_id;
  return UserLabel(absl::CUnescape(quoted, &user_id) ? user_id : quoted);
}

}  // namespace

std::string UserLabel(absl::string_view user_id) {
  const HmacKey& key = Key();
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  HMAC(EVP_sha256(), key.data(), key.size(),
       reinterpret_cast<const unsigned char*>(user_id.data()), user_id.size(),
       digest.data(), nullptr);
  return absl::StrCat(
      "u-", absl::BytesToHexString(absl::string_view(
                reinterpret_cast<const char*>(digest.data()), 8)));
}

std::string WithUserLabels(absl::string_view text) {
  std::string result;
  while (true) {
    constexpr absl::string_view kBefore[] = {"user \"", "user_id: \""};
    size_t begin = absl::string_view::npos;
    for (const absl::string_view before : kBefore) {
      const size_t found = text.find(before);
      if (found == absl::string_view::npos) continue;
      begin = std::min(begin, found + before.size());
    }
    if (begin == absl::string_view::npos) break;
    const size_t end = EndOfQuoted(text, begin);
    absl::StrAppend(&result, text.substr(0, begin - 1),
                    LabelOfQuoted(text.substr(begin, end - begin)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  absl::StrAppend(&result, text);
  return result;
}

}  // namespace qlarank

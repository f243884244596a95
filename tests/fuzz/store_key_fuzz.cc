// Keys: any bytes are a user key, a log key or neither; user ids and sequences
// come back from their keys, and keys sort as docs/storage.md says.
#include <cstdint>
#include <string>

#include "state_store/keys.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

void DecodeKey(absl::string_view key) {
  if (const auto user_id = UserOfUserKey(key)) {
    Check(UserKey(*user_id) == key, "a user key is that of its user");
  }
  if (key.size() < sizeof(uint64_t)) return;
  const absl::string_view user_key = key.substr(0, key.size() - 8);
  const auto sequence = SequenceOfLogKey(key, user_key);
  Check(sequence.has_value(), "what follows a user key is a sequence");
  const auto user_id = UserOfUserKey(user_key);
  if (user_id.has_value()) {
    Check(LogKey(*user_id, *sequence) == key, "a log key is that of its event");
  }
}

// `text` split into two user ids and a sequence.
void EncodeKeys(absl::string_view text) {
  if (text.size() < 4) return;
  const size_t split = 1 + static_cast<uint8_t>(text[0]) % (text.size() - 2);
  const absl::string_view a = text.substr(1, split);
  const absl::string_view b = text.substr(1 + split);
  const uint64_t sequence = static_cast<uint8_t>(text[1]) + 1;

  const std::string user_key = UserKey(a);
  Check(UserOfUserKey(user_key) == a, "a user comes back from their key");
  const std::string log_key = LogKey(a, sequence);
  Check(SequenceOfLogKey(log_key, user_key) == sequence,
        "a sequence comes back from its key");
  Check(log_key < LogKey(a, sequence + 1) &&
            log_key < AfterLogKey(a, sequence) &&
            AfterLogKey(a, sequence) <= LogKey(a, sequence + 1),
        "keys sort by sequence");
  // Another user's records lie outside of this one's.
  const std::string other = LogKey(b, sequence);
  Check(a == b || other < LogKey(a, 0) ||
            other >= AfterLogKey(a, UINT64_MAX),
        "a user's events are neighbours");
  Check(a == b || !SequenceOfLogKey(other, user_key).has_value(),
        "a log key is of one user");
}

}  // namespace

std::vector<std::string> Seeds() {
  return {UserKey("user"), LogKey("user", 1), UserKey(std::string(300, 'u')),
          std::string("\3abcabd", 7)};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > qlarank::kMaxUserIdBytes) return 0;
  qlarank::fuzz::DecodeKey(qlarank::fuzz::AsText(data, size));
  qlarank::fuzz::EncodeKeys(qlarank::fuzz::AsText(data, size));
  return 0;
}

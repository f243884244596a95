#include "cli/item_key.h"

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "cli/decimal.h"
#include "cli/shown_text.h"
#include "model/item_key.h"

namespace qlarank {
namespace {

// What is wrong with a text that is no whole number, and what to do about it.
absl::string_view NumberProblem(absl::string_view text) {
  const bool is_number = IsDecimal(text);
  if (AllDigits(text) || (is_number && text.front() == '-')) {
    return "is not an item id: they go from 0 to 2^64 - 1";
  }
  if (HasExponent(text)) {
    return "is not an item id: write all of its digits";
  }
  if (is_number && absl::StrContains(text, ".")) {
    return "is not an item id: write it as a whole number, without a point "
           "(pandas: astype(\"Int64\"))";
  }
  return "is not an item id: they are whole numbers; where items are texts, "
         "say --item-keys text";
}

}  // namespace

void AddItemKeysOption(CLI::App* app, ItemKeys& keys) {
  app->add_option("--item-keys", keys,
                  "How items are written: number, or text of any kind")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ItemKeys>{
          {"number", ItemKeys::kNumbers}, {"text", ItemKeys::kTexts}}))
      ->default_str("number");
}

absl::StatusOr<uint64_t> ParseItem(absl::string_view text, ItemKeys keys) {
  if (text.empty()) return absl::InvalidArgumentError("is empty");
  if (keys == ItemKeys::kTexts) {
    if (!IsUtf8(text)) {
      return absl::InvalidArgumentError(
          "is not UTF-8 (iconv -f latin1 -t utf8, if it is Latin-1)");
    }
    return ItemIdOfKey(text);
  }
  uint64_t id = 0;
  if (text.size() > 20 || !AllDigits(text) || !absl::SimpleAtoi(text, &id)) {
    return absl::InvalidArgumentError(NumberProblem(text));
  }
  return id;
}

}  // namespace qlarank

#include "state_store/store_format.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "state_store/checksum.h"
#include "state_store/validation.h"

namespace qlarank {
namespace {

constexpr absl::string_view kStem = "qlarank store, format ";

constexpr absl::string_view kChecksum = ", crc ";

std::string WithChecksum(absl::string_view text) {
  return absl::StrCat(text, kChecksum,
                      absl::Hex(MaskCrc(Crc32c(text)), absl::kZeroPad8));
}

// Takes decimal digits from the front of `text`.
bool ConsumeNumber(absl::string_view& text, uint32_t& number) {
  size_t digits = 0;
  while (digits < text.size() &&
         absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
    ++digits;
  }
  const bool parsed = absl::SimpleAtoi(text.substr(0, digits), &number);
  text.remove_prefix(digits);
  return parsed;
}

// Whether the text in front of a checksum is the one it was made of. Of what
// has none nothing is known.
bool ChecksumHolds(absl::string_view record) {
  const size_t at = record.rfind(kChecksum);
  return at == absl::string_view::npos ||
         record == WithChecksum(record.substr(0, at));
}

}  // namespace

std::string FormatRecord(uint32_t partitions) {
  return WithChecksum(
      absl::StrCat(kStem, kStoreFormat, ", ", partitions, " partitions"));
}

absl::StatusOr<StoreFormat> ParseFormatRecord(absl::string_view record) {
  const absl::Status damaged =
      absl::DataLossError("its format record is damaged");
  StoreFormat format;
  absl::string_view rest = record;
  if (!absl::ConsumePrefix(&rest, kStem) ||
      !ConsumeNumber(rest, format.format) ||
      format.format < kOldestStoreFormat || !ChecksumHolds(record)) {
    return damaged;
  }
  if (format.format > kStoreFormat) return format;
  if (format.format == kOldestStoreFormat) {
    if (!rest.empty()) return damaged;
    return format;
  }
  if (!absl::ConsumePrefix(&rest, ", ") ||
      !ConsumeNumber(rest, format.partitions) ||
      !ValidatePartitions(format.partitions).ok() ||
      record != FormatRecord(format.partitions)) {
    return damaged;
  }
  return format;
}

}  // namespace qlarank

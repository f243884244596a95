#include "state_store/record_names.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "state_store/validation.h"

namespace qlarank {

std::string EventName(absl::string_view user_id, uint64_t sequence) {
  return absl::StrCat("event ", sequence, " of user ", QuotedUser(user_id));
}

std::string HeadName(absl::string_view user_id) {
  return absl::StrCat("head of user ", QuotedUser(user_id));
}

std::string SnapshotName(absl::string_view fingerprint,
                         absl::string_view user_id) {
  return absl::StrCat("snapshot of user ", QuotedUser(user_id),
                      " under fingerprint ", fingerprint);
}

std::string CatalogueEntryName(uint64_t version) {
  return absl::StrCat("catalogue entry ", version);
}

std::string SourceMarkName(absl::string_view source) {
  return absl::StrCat("mark of source \"", absl::CHexEscape(source), "\"");
}

std::string MarkName(absl::string_view name) {
  return absl::StrCat("mark \"", absl::CHexEscape(name), "\"");
}

absl::Status Prefixed(absl::string_view name, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(name, ": ", status.message()));
}

}  // namespace qlarank

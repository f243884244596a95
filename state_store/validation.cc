#include "state_store/validation.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"

namespace qlarank {
namespace {

constexpr size_t kMaxFingerprintBytes = 255;

bool IsFingerprintChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
         c == '_' || c == '.' || c == ':';
}

}  // namespace

absl::Status ValidateUserId(absl::string_view user_id) {
  if (user_id.empty()) return absl::InvalidArgumentError("empty user id");
  if (user_id.size() > kMaxUserIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("user id of ", user_id.size(), " bytes, at most ",
                     kMaxUserIdBytes, " can be stored"));
  }
  return absl::OkStatus();
}

absl::Status ValidateRead(absl::string_view user_id, uint64_t from_sequence) {
  if (from_sequence == 0) {
    return absl::InvalidArgumentError("sequences start at 1, asked for 0");
  }
  return ValidateUserId(user_id);
}

absl::Status ValidatePartitions(uint32_t partitions) {
  if (partitions >= 1 && partitions <= kMaxPartitions) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "partitions is ", partitions, ", not 1 to ", kMaxPartitions));
}

absl::Status ValidateFingerprint(absl::string_view fingerprint) {
  if (fingerprint.empty() || fingerprint.size() > kMaxFingerprintBytes ||
      !std::all_of(fingerprint.begin(), fingerprint.end(), IsFingerprintChar)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "fingerprint \"", absl::CHexEscape(fingerprint), "\" is not 1 to ",
        kMaxFingerprintBytes, " letters, digits, '-', '_', '.' or ':'"));
  }
  return absl::OkStatus();
}

absl::Status ValidateAppends(absl::Span<const UserAppend> appends) {
  absl::flat_hash_set<absl::string_view> users;
  users.reserve(appends.size());
  for (const UserAppend& append : appends) {
    absl::Status status = ValidateUserId(append.user_id);
    if (!status.ok()) return status;
    if (!users.insert(append.user_id).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "user ", QuotedUser(append.user_id), " twice in one batch"));
    }
    if (append.head_after.incarnation == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("head of user ", QuotedUser(append.user_id),
                       " without an incarnation"));
    }
    if (append.head_after.last_sequence < append.events.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("head of user ", QuotedUser(append.user_id), " counts ",
                       append.head_after.last_sequence,
                       " events after an append of ", append.events.size()));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateMarks(absl::Span<const Mark> marks) {
  absl::flat_hash_set<absl::string_view> names;
  for (const Mark& mark : marks) {
    if (mark.name.empty() || mark.name.size() > kMaxMarkNameBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("mark with a name of ", mark.name.size(),
                       " bytes, not 1 to ", kMaxMarkNameBytes));
    }
    if (mark.value.size() > kMaxMarkValueBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          MarkName(mark.name), " of ", mark.value.size(), " bytes, at most ",
          kMaxMarkValueBytes, " can be stored"));
    }
    if (!names.insert(mark.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(MarkName(mark.name), " twice in one batch"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateContinues(const UserHead& head, const UserAppend& append) {
  if (head.incarnation != 0 &&
      head.incarnation != append.head_after.incarnation) {
    return absl::FailedPreconditionError(
        absl::StrCat("append to incarnation ", append.head_after.incarnation,
                     " of user ", QuotedUser(append.user_id),
                     ", whose incarnation is ", head.incarnation));
  }
  const uint64_t before =
      append.head_after.last_sequence - append.events.size();
  if (before != head.last_sequence) {
    return absl::FailedPreconditionError(absl::StrCat(
        "append to user ", QuotedUser(append.user_id), " after sequence ",
        before, ", but the log ends at ", head.last_sequence));
  }
  return absl::OkStatus();
}

absl::Status ValidateEntries(uint64_t newest,
                             absl::Span<const CatalogueEntry> entries) {
  for (const CatalogueEntry& entry : entries) {
    if (entry.version == ++newest) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("catalogue version ", entry.version,
                     " does not continue the catalogue: the next one is ",
                     newest));
  }
  return absl::OkStatus();
}

absl::Status ValidateNotTrimmed(absl::string_view user_id, const UserHead& head,
                                uint64_t from_sequence) {
  if (head.incarnation == 0 || from_sequence >= head.first_sequence) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "event ", from_sequence, " of user ", QuotedUser(user_id),
      ": trimmed, the log begins at ", head.first_sequence,
      "; only a model with a snapshot of what is gone can make their state"));
}

absl::Status ValidateTrim(absl::string_view user_id, const UserHead& head,
                          uint64_t first_kept,
                          absl::Span<const std::string> fingerprints) {
  if (fingerprints.empty()) {
    return absl::InvalidArgumentError(
        "trimming needs a fingerprint whose snapshots stand for what goes");
  }
  if (head.incarnation != 0 && first_kept > head.last_sequence + 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trimming user ", QuotedUser(user_id), " to sequence ", first_kept,
        ", but the log ends at ", head.last_sequence));
  }
  return absl::OkStatus();
}

absl::Status ValidateStandsFor(absl::string_view fingerprint,
                               absl::string_view user_id, const UserHead& head,
                               const std::optional<Snapshot>& snapshot,
                               uint64_t first_kept) {
  if (snapshot.has_value() && snapshot->incarnation == head.incarnation &&
      snapshot->folded_sequence + 1 >= first_kept &&
      snapshot->folded_sequence <= head.last_sequence) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "user ", QuotedUser(user_id), " has no snapshot of the events before ",
      first_kept, " under fingerprint ", fingerprint));
}

bool GoesBack(const UserHead& head, const std::optional<Snapshot>& stored,
              const Snapshot& snapshot) {
  if (snapshot.folded_sequence + 1 < head.first_sequence) return true;
  return stored.has_value() && stored->incarnation == head.incarnation &&
         stored->folded_sequence <= head.last_sequence &&
         stored->folded_sequence > snapshot.folded_sequence;
}

bool IsOfLog(const UserHead& head, const HeldState& held) {
  return held.incarnation == head.incarnation &&
         held.folded_sequence <= head.last_sequence;
}

bool IsContinued(const UserHead& head, const HeldState& held) {
  return IsOfLog(head, held) &&
         held.folded_sequence + 1 >= head.first_sequence;
}

uint64_t PointOf(const UserHead& head,
                 const absl::StatusOr<std::optional<Snapshot>>& snapshot) {
  if (!snapshot.ok() || !snapshot->has_value()) return 0;
  const HeldState held = {(*snapshot)->incarnation,
                          (*snapshot)->folded_sequence};
  return IsOfLog(head, held) ? held.folded_sequence : 0;
}

absl::Status MissingEventError(absl::string_view user_id, uint64_t sequence) {
  return absl::DataLossError(
      absl::StrCat(EventName(user_id, sequence), ": missing"));
}

absl::Status FingerprintNotOpenError(absl::string_view fingerprint) {
  return absl::FailedPreconditionError(absl::StrCat(
      "fingerprint \"", absl::CHexEscape(fingerprint), "\" is not open"));
}

std::string QuotedUser(absl::string_view user_id) {
  constexpr size_t kShownBytes = 128;
  return absl::StrCat("\"", absl::CHexEscape(user_id.substr(0, kShownBytes)),
                      user_id.size() > kShownBytes ? "...\"" : "\"");
}

}  // namespace qlarank

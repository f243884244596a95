#include "server/pipeline/commit_group.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/pipeline/field_error.h"
#include "server/pipeline/proto_time.h"

namespace qlarank {
namespace {

// A number that no earlier user of the same name had, but with probability
// 2^-64.
uint64_t NewIncarnation(absl::BitGen& random) {
  return absl::Uniform<uint64_t>(absl::IntervalClosedClosed, random, 1,
                                 UINT64_MAX);
}

LoggedEvent ToLogged(const v1::UserEvent& event, const std::string& source,
                     absl::string_view default_action) {
  LoggedEvent logged;
  logged.item_id = event.event().item_id();
  logged.action = event.event().action().empty() ? std::string(default_action)
                                                 : event.event().action();
  logged.time_us = ToMicros(event.event().time());
  logged.source = source;
  logged.source_sequence = event.sequence();
  logged.features.assign(event.event().features().begin(),
                         event.event().features().end());
  return logged;
}

}  // namespace

CommitGroup::CommitGroup(size_t max_sources_per_user, LoadHead load_head,
                         absl::BitGen& random)
    : max_sources_per_user_(max_sources_per_user),
      load_head_(load_head),
      random_(random) {}

absl::StatusOr<size_t> CommitGroup::Find(absl::string_view user_id) {
  if (const auto found = index_.find(user_id); found != index_.end()) {
    return found->second;
  }
  absl::StatusOr<UserHead> head = load_head_(user_id);
  if (!head.ok()) return head.status();
  UserAppend& user = users_.emplace_back();
  user.user_id = std::string(user_id);
  user.head_after = *std::move(head);
  index_.emplace(user_id, users_.size() - 1);
  return users_.size() - 1;
}

absl::StatusOr<CommitGroup::Tally> CommitGroup::Admit(
    const v1::AppendEventsRequest& request, absl::Span<const uint32_t> indexes,
    absl::string_view default_action) {
  // All that can fail comes first, so that a refusal leaves nothing behind.
  std::vector<size_t> users;
  users.reserve(indexes.size());
  for (const uint32_t i : indexes) {
    const std::string& user_id = request.events(i).user_id();
    const absl::StatusOr<size_t> user = Find(user_id);
    if (!user.ok()) return user.status();
    const UserHead& head = users_[*user].head_after;
    if (head.watermarks.size() >= max_sources_per_user_ &&
        !head.watermarks.contains(request.source())) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "source: ", Quoted(request.source()), "; user ", Quoted(user_id),
          " already has events of ", head.watermarks.size(),
          " sources, the most that are allowed"));
    }
    users.push_back(*user);
  }

  Tally tally;
  for (size_t k = 0; k < indexes.size(); ++k) {
    const v1::UserEvent& event = request.events(indexes[k]);
    UserAppend& user = users_[users[k]];
    UserHead& head = user.head_after;
    uint64_t& watermark = head.watermarks[request.source()];
    if (event.sequence() <= watermark) {
      ++tally.duplicates;
      continue;
    }
    watermark = event.sequence();
    if (head.incarnation == 0) head.incarnation = NewIncarnation(random_);
    const LoggedEvent& logged = user.events.emplace_back(
        ToLogged(event, request.source(), default_action));
    if (head.last_sequence > 0 && logged.time_us < head.last_event_time_us) {
      ++tally.late;
    }
    head.last_event_time_us =
        head.last_sequence == 0
            ? logged.time_us
            : std::max(head.last_event_time_us, logged.time_us);
    ++head.last_sequence;
    ++tally.applied;
  }
  return tally;
}

std::vector<UserAppend> CommitGroup::Take() && {
  users_.erase(std::remove_if(
                   users_.begin(), users_.end(),
                   [](const UserAppend& user) { return user.events.empty(); }),
               users_.end());
  return std::move(users_);
}

}  // namespace qlarank

#include "server/partition/commit_group.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"
#include "state_store/partition_position.h"

namespace qlarank {
namespace {

LoggedEvent ToLogged(const v1::UserEvent& event, const std::string& source,
                     const EventStamp& stamp) {
  LoggedEvent logged;
  logged.item_id = event.event().item_id();
  logged.action = event.event().action().empty()
                      ? std::string(stamp.default_action)
                      : event.event().action();
  logged.time_us = ToMicros(event.event().time());
  logged.source = source;
  logged.schema = stamp.schema;
  logged.source_sequence = event.sequence();
  logged.features.assign(event.event().features().begin(),
                         event.event().features().end());
  logged.catalogue_version = stamp.catalogue_version;
  return logged;
}

}  // namespace

CommitGroup::CommitGroup(size_t max_sources_per_user, const SourceMarks& marks,
                         GapFence& fence, LoadHead load_head,
                         PartitionPositions& positions)
    : max_sources_per_user_(max_sources_per_user),
      marks_(marks),
      fence_(fence),
      load_head_(load_head),
      positions_(positions) {}

CommitGroup::User& CommitGroup::Find(absl::string_view user_id) {
  if (const auto found = by_id_.find(user_id); found != by_id_.end()) {
    return *found->second;
  }
  absl::StatusOr<std::shared_ptr<const UserHead>> head = load_head_(user_id);
  User& user = users_.emplace_back();
  user.append.user_id = std::string(user_id);
  by_id_.emplace(user.append.user_id, &user);
  user.readable = head.status();
  user.partition = positions_.PartitionOfUser(user_id);
  if (head.ok()) {
    user.append.head_after = **head;
    user.append.head_before = *std::move(head);
  }
  return user;
}

size_t CommitGroup::OpenSources(const UserHead& head) const {
  if (marks_.empty()) return head.watermarks.size();
  return std::count_if(head.watermarks.begin(), head.watermarks.end(),
                       [this](const auto& watermark) {
                         return watermark.second >
                                marks_.CompleteThrough(watermark.first);
                       });
}

absl::Status CommitGroup::CheckTaken(const v1::AppendEventsRequest& request,
                                     uint32_t index, const UserHead& head,
                                     uint64_t seen_through) {
  const v1::UserEvent& event = request.events(index);
  const auto obstacle = fence_.Pass(event.user_id(), request.source(),
                                    event.sequence(), seen_through);
  if (obstacle.has_value()) {
    return HeldBack(index, event.sequence(), *obstacle);
  }
  if (head.watermarks.size() < max_sources_per_user_ ||
      head.watermarks.contains(request.source())) {
    return absl::OkStatus();
  }
  const size_t open = OpenSources(head);
  if (open < max_sources_per_user_) return absl::OkStatus();
  return TooManySources(index, event.user_id(), open);
}

void CommitGroup::Take(const v1::UserEvent& event, const std::string& source,
                       const EventStamp& stamp, User& user,
                       AppendTally& tally) {
  UserHead& head = user.append.head_after;
  head.watermarks[source] = event.sequence();
  const uint64_t position = positions_.Next(user.partition);
  if (head.incarnation == 0) head.incarnation = IncarnationAt(position);
  const LoggedEvent& logged = user.append.events.emplace_back(
      ToLogged(event, source, stamp));
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

AppendTally CommitGroup::Admit(const v1::AppendEventsRequest& request,
                               absl::Span<const uint32_t> indexes,
                               const EventStamp& stamp) {
  const std::string& source = request.source();
  const uint64_t mark = marks_.CompleteThrough(source);
  AppendTally tally;
  for (const uint32_t i : indexes) {
    const v1::UserEvent& event = request.events(i);
    User& user = Find(event.user_id());
    absl::Status status;
    if (user.readable.ok()) {
      const UserHead& head = user.append.head_after;
      const auto watermark = head.watermarks.find(source);
      const uint64_t seen_through =
          std::max(mark, watermark == head.watermarks.end()
                             ? uint64_t{0}
                             : watermark->second);
      if (event.sequence() <= seen_through) {
        fence_.Pass(event.user_id(), source, event.sequence(), seen_through);
        tally.duplicates.push_back(i);
        continue;
      }
      status = CheckTaken(request, i, head, seen_through);
    } else {
      status = absl::IsDataLoss(user.readable)
                   ? DamagedLog(i, user.readable.message())
                   : NotWritten(user.readable.message());
    }
    if (status.ok()) {
      Take(event, source, stamp, user, tally);
      continue;
    }
    fence_.Settle(event.user_id(), source, event.sequence(),
                  request.give_up_refused() && IsForGood(status));
    tally.refusals.push_back({i, std::move(status)});
  }
  return tally;
}

std::vector<UserAppend> CommitGroup::Take() && {
  std::vector<UserAppend> appends;
  appends.reserve(users_.size());
  for (User& user : users_) {
    if (user.append.events.empty()) continue;
    if (!marks_.empty()) {
      std::erase_if(user.append.head_after.watermarks,
                     [this](const auto& watermark) {
                       return watermark.second <=
                              marks_.CompleteThrough(watermark.first);
                     });
    }
    appends.push_back(std::move(user.append));
  }
  return appends;
}

}  // namespace qlarank

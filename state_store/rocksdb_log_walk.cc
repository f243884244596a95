// The walk over all logs: two iterators side by side, as heads and events are
// in the same order.
//
// The heads' iterator is made first and says how far each log goes; the log's
// holds all of that, but for what was erased or trimmed in between. So a look
// at the head as it is now, when a user's turn comes, is all that it takes. A
// snapshot of RocksDB's is not needed, whose end would have it compact files
// that it would have left alone.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rocksdb/db.h"
#include "state_store/keys.h"
#include "state_store/log_walk.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {
namespace {

rocksdb::ReadOptions WalkOptions() {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;  // must not evict what is in use
  options.background_purge_on_iterator_cleanup = true;
  return options;
}

}  // namespace

class RocksDbLogWalk final : public LogWalk {
 public:
  RocksDbLogWalk(const RocksDbStateStore& store, absl::string_view from_user)
      : store_(store),
        heads_(store.db_->NewIterator(WalkOptions(), store.heads_.get())),
        log_(store.db_->NewIterator(WalkOptions(), store.log_.get())) {
    if (from_user.empty()) {
      heads_->SeekToFirst();
    } else {
      heads_->Seek(UserKey(from_user));
    }
  }

  absl::StatusOr<std::optional<User>> NextUser() override {
    for (; heads_->Valid(); heads_->Next()) {
      std::optional<User> user = LookUp(ToView(heads_->key()));
      if (!user.has_value()) continue;
      if (!user->head.ok() && !absl::IsDataLoss(user->head.status())) {
        return user->head.status();
      }
      if (user->head.ok()) last_sequence_ = user->head->last_sequence;
      user_key_ = heads_->key().ToString();
      user_id_ = user->user_id;
      heads_->Next();
      return user;
    }
    if (!heads_->status().ok()) {
      return ToAbslStatus(heads_->status(), "reading heads");
    }
    return std::nullopt;
  }

  absl::Status Read(uint64_t from_sequence, size_t limit,
                    std::vector<LoggedEvent>& events) override {
    std::string key = user_key_;
    AppendSequence(key, from_sequence);
    uint64_t sequence = from_sequence;
    for (; sequence <= last_sequence_ && limit > 0; ++sequence, --limit) {
      SetSequence(key, sequence);
      if (!log_->Valid() || ToView(log_->key()) != key) log_->Seek(key);
      if (!log_->status().ok()) {
        return ToAbslStatus(log_->status(), EventName(user_id_, sequence));
      }
      if (!log_->Valid() || ToView(log_->key()) != key) {
        return MissingEventError(user_id_, sequence);
      }
      absl::StatusOr<LoggedEvent> event =
          DecodeEvent(key, ToView(log_->value()));
      if (!event.ok()) {
        return Prefixed(EventName(user_id_, sequence), event.status());
      }
      events.push_back(*std::move(event));
      log_->Next();
    }
    return absl::OkStatus();
  }

 private:
  // Of the head that the walk is at; nullopt where there is no such user any
  // more.
  std::optional<User> LookUp(absl::string_view key) const {
    const std::optional<absl::string_view> user_id = UserOfUserKey(key);
    if (!user_id.has_value()) {
      return User{"", absl::DataLossError(absl::StrCat(
                          HeadName(key), ": its key is damaged"))};
    }
    User user{std::string(*user_id), DecodeHead(key, ToView(heads_->value()))};
    if (!user.head.ok()) {
      user.head = Prefixed(HeadName(*user_id), user.head.status());
      return user;
    }
    const absl::StatusOr<UserHead> now =
        store_.ReadHead(*user_id, WalkOptions());
    if (!now.ok()) {
      user.head = now.status();
    } else if (now->incarnation != user.head->incarnation) {
      return std::nullopt;
    } else {
      user.head->first_sequence =
          std::min(now->first_sequence, user.head->last_sequence + 1);
    }
    return user;
  }

  const RocksDbStateStore& store_;
  const std::unique_ptr<rocksdb::Iterator> heads_;
  const std::unique_ptr<rocksdb::Iterator> log_;
  // Of the user whose turn it is.
  std::string user_key_;
  std::string user_id_;
  uint64_t last_sequence_ = 0;
};

absl::StatusOr<std::unique_ptr<LogWalk>> RocksDbStateStore::WalkLogs(
    absl::string_view from_user) const {
  if (!from_user.empty()) {
    absl::Status valid = ValidateUserId(from_user);
    if (!valid.ok()) return valid;
  }
  return std::make_unique<RocksDbLogWalk>(*this, from_user);
}

}  // namespace qlarank::rocksdb_internal

#include "state_store/rocksdb_user_walk.h"

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "state_store/keys.h"

namespace qlarank::rocksdb_internal {

UserWalk::UserWalk(const OpenedStore& store, Trouble trouble)
    : trouble_(std::move(trouble)) {
  AddCursor(*store.db, kHeadsName, store.heads);
  AddCursor(*store.db, kLogName, store.log);
  for (const auto& [fingerprint, states] : store.states) {
    AddCursor(*store.db, absl::StrCat(kStatesPrefix, fingerprint), states);
  }
  for (Cursor& cursor : cursors_) {
    cursor.it->SeekToFirst();
    Settle(cursor);
  }
}

void UserWalk::AddCursor(rocksdb::DB& db, absl::string_view name,
                         const ColumnFamily& column_family) {
  Cursor& cursor = cursors_.emplace_back();
  cursor.column_family = std::string(name);
  cursor.of_log = name == kLogName;
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  cursor.it.reset(db.NewIterator(options, column_family.get()));
}

void UserWalk::SeekPast(Cursor& cursor, const std::string& user_key) {
  // No user key is a prefix of another, so nobody else's records begin with
  // these bytes.
  std::string target = user_key;
  if (cursor.of_log) target.append(8, '\xff');
  target.push_back('\0');
  cursor.it->Seek(target);
  Settle(cursor);
}

void UserWalk::Settle(Cursor& cursor) {
  cursor.user_key.clear();
  for (; cursor.it->Valid(); cursor.it->Next()) {
    const absl::string_view key = ToView(cursor.it->key());
    const std::optional<absl::string_view> user_key =
        cursor.of_log ? UserKeyOfLogKey(key)
                      : (UserOfUserKey(key).has_value() ? std::optional(key)
                                                        : std::nullopt);
    if (user_key.has_value()) {
      cursor.user_key = std::string(*user_key);
      cursor.broken = false;
      return;
    }
    trouble_(cursor.column_family,
             absl::StrCat("a key that is no user's: ",
                          absl::BytesToHexString(key.substr(0, 32))));
  }
  if (cursor.it->status().ok()) {
    cursor.broken = false;
    return;
  }
  if (!std::exchange(cursor.broken, true)) {
    trouble_(cursor.column_family, cursor.it->status().ToString());
  }
}

bool UserWalk::Next(std::string& user_id) {
  const Cursor* first = nullptr;
  for (const Cursor& cursor : cursors_) {
    if (cursor.user_key.empty()) continue;
    if (first == nullptr || cursor.user_key < first->user_key) first = &cursor;
  }
  if (first == nullptr) return false;
  const std::string user_key = first->user_key;
  user_id = std::string(*UserOfUserKey(user_key));
  for (Cursor& cursor : cursors_) {
    if (cursor.user_key == user_key || cursor.broken) SeekPast(cursor, user_key);
  }
  return true;
}

}  // namespace qlarank::rocksdb_internal

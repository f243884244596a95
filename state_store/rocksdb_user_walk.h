// A walk over every user of whom a database knows anything, in the order of
// their keys, once each: the union of what the event log, the heads and the
// snapshots name, so that a user stays known while any one of their records
// does.
//
// Damage does not end the walk: where a column family cannot be read, the users
// that the others name are visited, and each is tried again there. Who is in
// unreadable blocks of all of them is not found.
//
// Private to the RocksDB implementation. Not thread-safe.
#ifndef QLARANK_STATE_STORE_ROCKSDB_USER_WALK_H_
#define QLARANK_STATE_STORE_ROCKSDB_USER_WALK_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

class UserWalk {
 public:
  // Told of what is wrong and is no one user's.
  using Trouble = std::function<void(absl::string_view column_family,
                                     absl::string_view what)>;

  // `store` must outlive the walk.
  UserWalk(const OpenedStore& store, Trouble trouble);

  // The next user; false at the end.
  bool Next(std::string& user_id);

 private:
  struct Cursor {
    std::string column_family;
    bool of_log = false;
    std::unique_ptr<rocksdb::Iterator> it;
    std::string user_key;  // empty: at the end, or broken
    bool broken = false;
  };

  void AddCursor(rocksdb::DB& db, absl::string_view name,
                 const ColumnFamily& column_family);
  // Moves to the first user key after `user_key`.
  void SeekPast(Cursor& cursor, const std::string& user_key);
  // Takes up the key that the iterator is at, or what is wrong with it.
  void Settle(Cursor& cursor);

  const Trouble trouble_;
  std::vector<Cursor> cursors_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_USER_WALK_H_

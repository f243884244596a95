// The threads that owners share. Of an owner one thread at a time deals with its
// mail, and one folds; neither while the other does something that needs the
// owner to itself, such as an erasure. So what an owner does needs no lock.
//
//   class Owner : public OwnerPool::Member { ... };
//   OwnerPool pool(num_threads, num_fold_slots);
//   pool.Add(owner);
//   pool.Wake();              // some owner has something new to do
//
// Folding needs one of a few slots, for it is arithmetic, where commits mostly
// wait for the disk.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PARTITION_OWNER_POOL_H_
#define QLARANK_SERVER_PARTITION_OWNER_POOL_H_

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class OwnerPool {
 public:
  class Member {
   public:
    virtual ~Member() = default;

    // What there is to do: asked by any thread, under the pool's lock.
    virtual bool has_mail() const = 0;
    // Whether nothing may be folded while the next mail is dealt with.
    virtual bool mail_is_exclusive() const = 0;
    virtual bool has_folds() const = 0;

    // Deals with the next mail, or some of it. One call at a time.
    virtual void TakeMail() = 0;
    // Folds a bounded amount. One call at a time; `slot` is one that nobody else
    // has meanwhile.
    virtual void Fold(size_t slot) = 0;

   private:
    friend class OwnerPool;

    // Under the pool's lock.
    bool taking_mail_ = false;
    bool exclusive_ = false;  // what it takes
    bool folding_ = false;
  };

  // For each member a thread, and for each slot, is as many as can be busy.
  OwnerPool(size_t num_threads, size_t num_fold_slots);
  // Deals with all mail that is there, and folds no more. REQUIRES: nobody sends
  // any more.
  ~OwnerPool();

  // `member` must outlive the pool.
  void Add(Member& member) ABSL_LOCKS_EXCLUDED(mutex_);
  // Some member has mail, or something to fold, since before the call.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);  // whoever waits looks again
  }

 private:
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  // The next member, in turn, of which `may` is true; or null.
  Member* Next(const std::function<bool(const Member&)>& may) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Member* NextWithMail() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Member* NextWithFolds() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Both release the lock for what the member does.
  void TakeMail(Member& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fold(Member& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::vector<Member*> members_ ABSL_GUARDED_BY(mutex_);
  size_t turn_ ABSL_GUARDED_BY(mutex_) = 0;  // whom to ask first
  std::vector<size_t> free_slots_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_OWNER_POOL_H_

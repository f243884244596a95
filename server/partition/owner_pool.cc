#include "server/partition/owner_pool.h"

namespace qlarank {

OwnerPool::OwnerPool(size_t num_threads, size_t num_fold_slots) {
  for (size_t slot = 0; slot < num_fold_slots; ++slot) {
    free_slots_.push_back(slot);
  }
  for (size_t i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this] { Loop(); });
  }
}

OwnerPool::~OwnerPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void OwnerPool::Add(Member& member) {
  absl::MutexLock lock(&mutex_);
  members_.push_back(&member);
}

OwnerPool::Member* OwnerPool::Next(
    const std::function<bool(const Member&)>& may) const {
  for (size_t i = 0; i < members_.size(); ++i) {
    Member* const member = members_[(turn_ + i) % members_.size()];
    if (may(*member)) return member;
  }
  return nullptr;
}

OwnerPool::Member* OwnerPool::NextWithMail() const {
  return Next([](const Member& member) {
    return !member.taking_mail_ && member.has_mail() &&
           !(member.folding_ && member.mail_is_exclusive());
  });
}

OwnerPool::Member* OwnerPool::NextWithFolds() const {
  if (stopping_ || free_slots_.empty()) return nullptr;
  return Next([](const Member& member) {
    if (member.folding_ || member.exclusive_ || !member.has_folds()) {
      return false;
    }
    // What needs the owner to itself waits for no more than one round.
    return member.taking_mail_ || !member.has_mail() ||
           !member.mail_is_exclusive();
  });
}

void OwnerPool::Loop() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || NextWithMail() != nullptr ||
           NextWithFolds() != nullptr;
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&due));
    if (Member* const sent = NextWithMail()) {
      TakeMail(*sent);
    } else if (Member* const behind = NextWithFolds()) {
      Fold(*behind);
    } else {
      return;  // stopping; whoever is still at work takes what follows that
    }
    ++turn_;
  }
}

void OwnerPool::TakeMail(Member& member) {
  member.taking_mail_ = true;
  member.exclusive_ = member.mail_is_exclusive();
  mutex_.Unlock();
  member.TakeMail();
  mutex_.Lock();
  member.taking_mail_ = member.exclusive_ = false;
}

void OwnerPool::Fold(Member& member) {
  const size_t slot = free_slots_.back();
  free_slots_.pop_back();
  member.folding_ = true;
  mutex_.Unlock();
  member.Fold(slot);
  mutex_.Lock();
  member.folding_ = false;
  free_slots_.push_back(slot);
}

}  // namespace qlarank
